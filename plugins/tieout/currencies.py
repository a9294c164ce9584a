"""ISO 4217: currency codes and their minor units, the number of decimals that money in them has.

The active codes of ISO 4217 list one with a minor unit of their own; codes whose minor unit is "N.A."
(gold, test codes and the like) are no money that an invoice can be in and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF
IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV
MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD
SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ZWL
"""
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"

MINOR_UNITS: Mapping[str, int] = MappingProxyType(
    {code: decimals for decimals, codes in ((0, _NONE), (2, _TWO), (3, _THREE), (4, _FOUR)) for code in codes.split()}
)
"""Code → number of decimals. A few codes that ISO withdrew lately stay, as open items in them still exist."""

DEFAULT_MINOR_UNITS = 2


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 code of money."""
    return code in MINOR_UNITS


def minor_units(code: str) -> int:
    """Decimals of a currency; 2 for an unknown one, which is held by the currency check in any case."""
    return MINOR_UNITS.get(code, DEFAULT_MINOR_UNITS)
