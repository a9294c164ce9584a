"""A record's whole story, as `bin/tieout trace` and the Tieout page tell it.

`story.tell` takes what the ledger knows and adds what only the mapping files and the kept bytes can say: what each
column was made from, where in the file the record stands, and what stands there.
"""

from tieout.tracing.story import tell

__all__ = ["tell"]
