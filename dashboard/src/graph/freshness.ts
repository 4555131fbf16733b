import { useEffect } from "react";
import type { UseQueryExecute } from "urql";

/** Ask a query again every `seconds` while the page is looked at: for what no subscription tells, or `when` none does. */
export function useKeptFresh(ask: UseQueryExecute, seconds: number, when = true): void {
  useEffect(() => {
    if (!when) return;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") ask({ requestPolicy: "network-only" });
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [ask, seconds, when]);
}
