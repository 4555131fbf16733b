import { useEffect } from "react";

/** Name the browser's tab after what is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Winnow`;
  }, [title]);
}
