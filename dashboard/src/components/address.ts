import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";

/** How one filter is written in the address; what equals the default is left out. */
export interface Filter<T> {
  read: (values: string[]) => T;
  write: (value: T) => string[];
}

export const text = (absent = ""): Filter<string> => ({
  read: (values) => values[0] ?? absent,
  write: (value) => (value === absent ? [] : [value]),
});

export const choice = <const T extends string>(options: readonly T[], absent: T): Filter<T> => ({
  read: (values) => options.find((option) => option === values[0]) ?? absent,
  write: (value) => (value === absent ? [] : [value]),
});

export const choices = <const T extends string>(options: readonly T[]): Filter<T[]> => ({
  read: (values) => options.filter((option) => values.includes(option)),
  write: (value) => value,
});

type Values<F> = { [Name in keyof F]: F[Name] extends Filter<infer T> ? T : never };

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a filter of any type; Values<F> brings the types back
type AnyFilters = Record<string, Filter<any>>;

/**
 * Filters that live in the address, so that a view can be bookmarked and shared.
 * `filters` must be a constant of the module. Setting replaces the address: going back leaves the page.
 */
export function useAddress<F extends AnyFilters>(filters: F): [Values<F>, (change: Partial<Values<F>>) => void] {
  const search = useSearch();
  const [, navigate] = useLocation();
  const values = useMemo(() => readAddress(filters, search), [filters, search]);
  const set = useCallback(
    (change: Partial<Values<F>>) => {
      const changed = writeAddress(filters, change, location.search);
      navigate(location.pathname + (changed && `?${changed}`), { replace: true });
    },
    [filters, navigate],
  );
  return [values, set];
}

export function readAddress<F extends AnyFilters>(filters: F, search: string): Values<F> {
  const parameters = new URLSearchParams(search);
  const entries = Object.entries(filters).map(([name, filter]) => [name, filter.read(parameters.getAll(name)) as unknown]);
  return Object.fromEntries(entries) as Values<F>;
}

export function writeAddress<F extends AnyFilters>(filters: F, change: Partial<Values<F>>, search: string): string {
  const parameters = new URLSearchParams(search);
  for (const [name, value] of Object.entries(change)) {
    parameters.delete(name);
    for (const written of filters[name]?.write(value) ?? []) parameters.append(name, written);
  }
  return parameters.toString();
}
