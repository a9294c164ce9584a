// Figures and times as people read them. Money stays the text that the server sent: no amount ever becomes a Number.

const SPACED = /\B(?=(\d{3})+$)/g;
const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

/** A count with thousands separators. */
export function count(number) {
  return String(number ?? 0).replace(SPACED, ",");
}

/** "1 record", "2,000 records". */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${Number(number) === 1 ? one : many}`;
}

const _digits = new Map();

/** How many decimals a currency has; 2 where it is no code that the browser knows. */
export function digitsOf(currency) {
  if (!_digits.has(currency)) {
    let digits = 2;
    try {
      digits = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
    } catch {
      // Not a code of ISO 4217.
    }
    _digits.set(currency, digits);
  }
  return _digits.get(currency);
}

/** An amount, "-1234.5" in EUR as "-1,234.50"; what is no decimal number is given back as it came. */
export function amount(text, currency) {
  const parts = DECIMAL.exec(String(text));
  if (!parts) return String(text);
  const [, sign, whole, fraction = ""] = parts;
  const decimals = fraction.padEnd(digitsOf(currency), "0");
  return sign + whole.replace(SPACED, ",") + (decimals ? `.${decimals}` : "");
}

/** "EUR 1,234.50". */
export function money(text, currency) {
  return `${currency} ${amount(text, currency)}`;
}

function scaled(text) {
  const [, sign, whole, fraction = ""] = DECIMAL.exec(String(text)) ?? [null, "", "0", ""];
  return { units: BigInt(sign + whole + fraction), scale: fraction.length };
}

/** The exact sum of decimal texts, as text. */
export function sumOf(texts) {
  const parts = [...texts].map(scaled);
  const scale = Math.max(0, ...parts.map((part) => part.scale));
  const units = parts.reduce((sum, part) => sum + part.units * 10n ** BigInt(scale - part.scale), 0n);
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  return scale ? `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}` : sign + digits;
}

/** The decimal text with the other sign. */
export function negative(text) {
  return String(text).startsWith("-") ? String(text).slice(1) : `-${text}`;
}

/** Whether the decimal text is zero. */
export function isZero(text) {
  return scaled(text).units === 0n;
}

/** Sums per currency of several {currency: text}. */
export function sumTotals(totals) {
  const lists = new Map();
  for (const each of totals) {
    for (const [currency, text] of Object.entries(each ?? {})) {
      lists.set(currency, [...(lists.get(currency) ?? []), text]);
    }
  }
  return Object.fromEntries([...lists].sort().map(([currency, texts]) => [currency, sumOf(texts)]));
}

/** Bytes in the unit that fits: "1.4 MB". */
export function bytes(number) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = Number(number ?? 0);
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${value} ${units[0]}` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

/** A moment in the reader's own time zone: "2026-11-21 18:10". */
export function moment(iso) {
  const at = new Date(iso);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

const _zones = new Map();

function clockOf(zone) {
  if (!_zones.has(zone)) {
    const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" };
    _zones.set(zone, new Intl.DateTimeFormat("sv-SE", { timeZone: zone, ...parts }));
  }
  return _zones.get(zone);
}

/** The moment in UTC and in another zone, for those who compare logs. */
export function momentElsewhere(iso, zone) {
  const zones = [...new Set([zone, "UTC"])].filter(Boolean);
  return zones.map((each) => `${clockOf(each).format(new Date(iso))} ${each}`).join(", ");
}

const MINUTE = 60_000;
const STEPS = [
  [48 * 60 * MINUTE, 24 * 60 * MINUTE, "day"],
  [2 * 60 * MINUTE, 60 * MINUTE, "hour"],
  [MINUTE, MINUTE, "minute"],
];

/** A span in one unit: "3 days". */
export function span(milliseconds) {
  const length = Math.abs(milliseconds);
  for (const [from, unit, name] of STEPS) {
    if (length >= from) return counted(Math.floor(length / unit), name);
  }
  return "less than a minute";
}

/** How long ago, or in how long: "3 days ago", "in 2 hours". */
export function distance(iso, now = Date.now()) {
  const away = new Date(iso).getTime() - now;
  return away > 0 ? `in ${span(away)}` : `${span(away)} ago`;
}
