import type { CombinedError } from "@urql/core";

/** What kind of trouble an error is, as far as a page treats kinds differently. */
export type Trouble = "unreachable" | "not-allowed" | "not-found" | "refused";

const TROUBLES: Partial<Record<string, Trouble>> = { NOT_ALLOWED: "not-allowed", NOT_FOUND: "not-found" };

export function troubleOf(error: CombinedError): Trouble {
  const code = error.graphQLErrors[0]?.extensions.code;
  if (typeof code === "string") return TROUBLES[code] ?? "refused";
  const status = (error.response as Response | undefined)?.status;
  if (status === 403) return "not-allowed";
  return error.networkError ? "unreachable" : "refused";
}

/** What went wrong, in the server's own words where it said some. */
export function wordsOf(error: CombinedError): string {
  return error.graphQLErrors.map(({ message }) => message).join(" ") || "The server could not be reached.";
}
