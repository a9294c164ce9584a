"""SAP Business One through Service Layer: sessions, reading, extraction, attachments."""
