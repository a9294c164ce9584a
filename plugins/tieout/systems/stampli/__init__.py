"""Stampli's export files: layouts, and reading files into records that keep the bytes they came with.

No network and no Airflow here: files are fetched elsewhere, and what becomes of the records is decided elsewhere.
"""

from tieout.systems.stampli.content_types import file_name_of
from tieout.systems.stampli.layout import Layout, Layouts, load_layout, load_layouts
from tieout.systems.stampli.reading import read_file, read_payload, reread_file, unreadable_record
from tieout.systems.stampli.records import Limits, RecordProblem, SourceRecord, UnreadableFile

__all__ = [
    "Layout",
    "Layouts",
    "Limits",
    "RecordProblem",
    "SourceRecord",
    "UnreadableFile",
    "file_name_of",
    "load_layout",
    "load_layouts",
    "read_file",
    "read_payload",
    "reread_file",
    "unreadable_record",
]
