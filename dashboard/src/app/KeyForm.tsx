import { useId, useState, type SubmitEvent } from "react";
import { Button, Field, useTitle } from "@/components";
import { checkKey, type KeyCheck } from "@/graph";

const REFUSALS: Record<Exclude<KeyCheck, "accepted">, string> = {
  refused: "This key is not known here, or was revoked. Ask for another one, or make one with `winnow keys create`.",
  unreachable: "The server could not be reached: try again in a moment.",
};

const GONE = "The key is no longer accepted: enter another one.";

interface KeyFormProps {
  refused: boolean;
  onEnter: (key: string) => void;
}

/** The one question asked before anything is shown. */
export function KeyForm({ refused, onEnter }: KeyFormProps) {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState(refused ? GONE : "");
  const [checking, setChecking] = useState(false);
  const note = useId();
  useTitle("Key");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setChecking(true);
    const check = await checkKey(key.trim());
    setChecking(false);
    if (check === "accepted") onEnter(key.trim());
    else setProblem(REFUSALS[check]);
  };
  return (
    <main className="key-page">
      <form className="key-form card" onSubmit={(event) => void submit(event)} aria-describedby={note}>
        <h1>Winnow</h1>
        <Field label="Key" problem={problem}>
          {(field) => (
            <input
              {...field}
              type="password"
              value={key}
              onChange={(event) => setKey(event.target.value)}
              autoComplete="off"
              spellCheck={false}
              placeholder="wnw_…"
              required
              autoFocus
            />
          )}
        </Field>
        <Button type="submit" kind="primary" disabled={checking}>
          {checking ? "Asking the server…" : "Open the dashboard"}
        </Button>
        <p id={note} className="muted">
          It stays in this browser tab until the tab is closed. <code>winnow keys create</code> makes one; the demo
          prints its own.
        </p>
      </form>
    </main>
  );
}
