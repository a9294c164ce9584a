"""Stampli's side of the SFTP exchange: exports with what they must become, the drop folder, and its troubles."""

from sandbox.stampli.books import Books
from sandbox.stampli.csv_files import CsvStyle, csv_file
from sandbox.stampli.drop import StampliDrop, export_file, file_name
from sandbox.stampli.exports import StampliExports
from sandbox.stampli.mixture import correction_drop, mixed_drop
from sandbox.stampli.purchase_orders import received_orders
from sandbox.stampli.scenario import DropSizes, Scenario
from sandbox.stampli.text_records import text_record
from sandbox.stampli.truth import differences
from sandbox.stampli.xml_files import XmlStyle, xml_file

__all__ = [
    "Books", "CsvStyle", "DropSizes", "Scenario", "StampliDrop", "StampliExports", "XmlStyle", "correction_drop",
    "csv_file", "differences", "export_file", "file_name", "mixed_drop", "received_orders", "text_record", "xml_file",
]  # fmt: skip
