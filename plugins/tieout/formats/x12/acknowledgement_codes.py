"""What the codes of 997, 999 and TA1 mean, in words (X12 004010 and 005010; data elements by their numbers)."""

from __future__ import annotations

from collections.abc import Mapping

STATUSES: Mapping[str, str] = {
    "A": "accepted",
    "E": "accepted, with errors noted",
    "P": "partially accepted: at least one set was rejected",
    "R": "rejected",
    "M": "rejected: the message authentication code failed",
    "W": "rejected: the assurance failed its validity tests",
    "X": "rejected: what came out of the decryption could not be read",
}
"""Of a set (717) and of a group (715); `P` is a group's only."""

INTERCHANGE_STATUSES: Mapping[str, str] = {
    "A": "accepted",
    "E": "accepted, with errors noted",
    "R": "rejected",
}
"""Of an interchange (I17)."""

SEGMENT_ERRORS: Mapping[str, str] = {
    "1": "unknown segment",
    "2": "unexpected segment",
    "3": "a mandatory segment is missing",
    "4": "the loop occurs too many times",
    "5": "the segment occurs too many times",
    "6": "the segment does not belong to this set",
    "7": "the segment is out of sequence",
    "8": "the segment has wrong elements",
    "I4": "the partner's guide does not use this segment",
    "I6": "a segment that another one calls for is missing",
    "I7": "the loop occurs too few times",
    "I8": "the segment occurs too few times",
    "I9": "the segment must not be there beside another one",
}
"""AK304 (720) and IK304 (620)."""

ELEMENT_ERRORS: Mapping[str, str] = {
    "1": "a mandatory element is missing",
    "2": "an element that another one calls for is missing",
    "3": "too many elements",
    "4": "the element is too short",
    "5": "the element is too long",
    "6": "the element has an invalid character",
    "7": "the code is not in the list",
    "8": "the date is invalid",
    "9": "the time is invalid",
    "10": "two elements exclude each other",
    "12": "the element repeats too many times",
    "13": "too many components",
    "I6": "the partner's guide does not use this code",
    "I9": "an element that another one calls for is missing",
    "I10": "the partner's guide does not use this element",
    "I11": "the element repeats too few times",
    "I12": "the element does not have the form that the partner's guide asks for",
    "I13": "the element must not be there beside another one",
}
"""AK403 (723) and IK403 (621)."""

SET_ERRORS: Mapping[str, str] = {
    "1": "the set is not supported",
    "2": "the set has no trailer (SE)",
    "3": "the control numbers of ST and SE differ",
    "4": "the number of segments is not what SE says",
    "5": "one or more segments are in error",
    "6": "the set's identifier is missing or invalid",
    "7": "the set's control number is missing or invalid",
    "8": "the name of the authentication key is unknown",
    "9": "the name of the encryption key is unknown",
    "10": "the requested authentication or encryption is not available",
    "11": "the recipient of the security is unknown",
    "12": "the encrypted message has the wrong length",
    "13": "the message authentication code failed",
    "15": "the originator of the security is unknown",
    "16": "the decrypted text has a syntax error",
    "17": "security is not supported",
    "18": "the set does not belong into this group",
    "19": "the reference to the partner's guide is invalid",
    "23": "the set's control number is not unique within its group",
    "24": "the segment S3E is missing",
    "25": "the segment S3S is missing",
    "26": "the segment S4E is missing",
    "27": "the segment S4S is missing",
    "I5": "one or more segments break the partner's guide",
    "I6": "the partner's guide is not supported",
}
"""AK502 to AK506 (718) and IK502 to IK506 (618)."""

GROUP_ERRORS: Mapping[str, str] = {
    "1": "the group is not supported",
    "2": "the group's release is not supported",
    "3": "the group has no trailer (GE)",
    "4": "the control numbers of GS and GE differ",
    "5": "the number of sets is not what GE says",
    "6": "the group's control number is invalid",
    "10": "the name of the authentication key is unknown",
    "11": "the name of the encryption key is unknown",
    "12": "the requested authentication or encryption is not available",
    "13": "the recipient of the security is unknown",
    "14": "the originator of the security is unknown",
    "15": "the decrypted text has a syntax error",
    "16": "security is not supported",
    "17": "the encrypted message has the wrong length",
    "18": "the message authentication code failed",
    "19": "the group's control number is not unique within its interchange",  # so since 005010
    "23": "the segment S3E is missing",
    "24": "the segment S3S is missing",
    "25": "the segment S4E is missing",
    "26": "the segment S4S is missing",
}
"""AK905 to AK909 (716)."""

INTERCHANGE_ERRORS: Mapping[str, str] = {
    "001": "the control numbers of ISA and IEA differ",
    "002": "the standard named in ISA11 is not supported",
    "003": "the version of the envelope (ISA12) is not supported",
    "004": "the segment terminator is invalid",
    "005": "the sender's qualifier (ISA05) is invalid",
    "006": "the sender's id (ISA06) is invalid",
    "007": "the receiver's qualifier (ISA07) is invalid",
    "008": "the receiver's id (ISA08) is invalid",
    "009": "the receiver's id (ISA08) is unknown",
    "010": "the authorization qualifier (ISA01) is invalid",
    "011": "the authorization (ISA02) is invalid",
    "012": "the security qualifier (ISA03) is invalid",
    "013": "the security information (ISA04) is invalid",
    "014": "the date (ISA09) is invalid",
    "015": "the time (ISA10) is invalid",
    "016": "ISA11 is invalid",
    "017": "the version (ISA12) is invalid",
    "018": "the control number (ISA13) is invalid",
    "019": "ISA14 is invalid",
    "020": "the test indicator (ISA15) is invalid",
    "021": "the number of groups (IEA01) is wrong",
    "022": "the control structure is invalid",
    "023": "the file ends too early",
    "024": "the content is invalid",
    "025": "the control number (ISA13) was received before",
    "026": "the element separator is invalid",
    "027": "the component separator is invalid",
    "028": "the delivery date is invalid",
    "029": "the delivery time is invalid",
    "030": "the delivery time code is invalid",
    "031": "the grade of service is invalid",
}
"""TA105 (I18); 000 stands for none."""


def words(meanings: Mapping[str, str], code: str) -> str:
    """A code in words; some partners have codes of their own."""
    return meanings.get(code, "a code of the partner's own")
