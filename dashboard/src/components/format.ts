/** Numbers and times as the reader's own locale writes them. Fractions come in; percents appear only here. */
const LOCALE = navigator.language;

export const MISSING = "–";

type Maybe<T> = T | null | undefined;

const shown =
  <T>(write: (value: T) => string) =>
  (value: Maybe<T>): string =>
    value === null || value === undefined ? MISSING : write(value);

const numbers = (options: Intl.NumberFormatOptions) => {
  const format = new Intl.NumberFormat(LOCALE, options);
  return shown((value: number) => format.format(value));
};

const times = (options: Intl.DateTimeFormatOptions) => {
  const format = new Intl.DateTimeFormat(LOCALE, options);
  return shown((value: string | number | Date) => format.format(new Date(value)));
};

/** 12,345 */
export const formatCount = numbers({ maximumFractionDigits: 0 });
/** 12K */
export const formatCompact = numbers({ notation: "compact", maximumSignificantDigits: 3 });
/** 0.123 */
export const formatNumber = numbers({ maximumSignificantDigits: 3 });
/** 3.50 */
export const formatTwo = numbers({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** 12.3% of a fraction */
export const formatPercent = numbers({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
/** 0.52%, for small fractions */
export const formatFinePercent = numbers({ style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** 12%, or 0.5%: for axes, where room is short */
export const formatBriefPercent = numbers({ style: "percent", maximumFractionDigits: 2 });
/** +12.3% */
export const formatChange = numbers({ style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
/** 0.012; below 0.001 it says so */
export const formatPValue = shown((p: number) => (p < 0.001 ? `< ${formatNumber(0.001)}` : formatNumber(p)));

/** Nov 24, 2026 */
export const formatDay = times({ dateStyle: "medium" });
/** Nov 24 */
export const formatShortDay = times({ month: "short", day: "numeric" });
/** Nov 24, 2026, 6:00 PM */
export const formatMoment = times({ dateStyle: "medium", timeStyle: "short" });
/** 6:00:05 PM */
export const formatClock = times({ timeStyle: "medium" });
/** Days and hours that the graph counts in UTC, shown in UTC. */
export const formatUtcDay = times({ month: "short", day: "numeric", timeZone: "UTC" });
export const formatUtcDate = times({ dateStyle: "medium", timeZone: "UTC" });
export const formatUtcHour = times({ month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZone: "UTC" });

const moneyFormats = new Map<string, Intl.NumberFormat>();

function moneyFormat(currency: string, compact: boolean): Intl.NumberFormat {
  const name = `${currency} ${compact}`;
  const made =
    moneyFormats.get(name) ??
    new Intl.NumberFormat(LOCALE, {
      ...(currency ? { style: "currency", currency } : { minimumFractionDigits: compact ? 0 : 2, maximumFractionDigits: 2 }),
      ...(compact ? { notation: "compact", maximumSignificantDigits: 3 } : {}),
    });
  moneyFormats.set(name, made);
  return made;
}

/** $12.34, from a Decimal's string or a number; without a currency the bare amount. */
export const formatMoney = (value: Maybe<string | number>, currency = "USD"): string =>
  value === null || value === undefined ? MISSING : moneyFormat(currency, false).format(Number(value));

/** $12.3K */
export const formatCompactMoney = (value: Maybe<string | number>, currency = "USD"): string =>
  value === null || value === undefined ? MISSING : moneyFormat(currency, true).format(Number(value));

const ABBREVIATIONS = new Set(["SMS", "UCB", "ROI"]);

/** A code such as IN_APP or NO_DIFFERENCE in words: In app, No difference. */
export function inWords(code: string): string {
  if (ABBREVIATIONS.has(code)) return code;
  const words = code.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Relative change against what was before; null where there was nothing. */
export function changeOf(now: Maybe<number>, before: Maybe<number>): number | null {
  if (now === null || now === undefined || before === null || before === undefined || before === 0) return null;
  return (now - before) / Math.abs(before);
}
