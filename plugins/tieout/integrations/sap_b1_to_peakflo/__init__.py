"""SAP Business One → Peakflo: what is read, how it is prepared, what is delivered."""
