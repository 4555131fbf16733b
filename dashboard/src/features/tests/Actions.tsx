import { useState } from "react";
import { useMutation, type AnyVariables, type TypedDocumentNode } from "urql";
import { Button, Dialog, Notice, Select } from "@/components";
import { wordsOf } from "@/graph";
import { ANALYZE, END, PAUSE, REALLOCATE, START } from "./documents";
import type { Results, Test } from "./TestPage";

interface Props {
  test: Test;
  verdict: Results["verdict"];
  onChanged: () => void;
}

/** What can be done to a test in its state. */
export function Actions({ test, verdict, onChanged }: Props) {
  const [problem, setProblem] = useState("");
  const [done, setDone] = useState("");
  const [ending, setEnding] = useState(false);
  const start = useAction(START, "startTest", onChanged, setProblem);
  const pause = useAction(PAUSE, "pauseTest", onChanged, setProblem);
  const analyze = useAction(ANALYZE, "analyzeTest", onChanged, setProblem);
  const reallocate = useAction(REALLOCATE, "reallocate", onChanged, setProblem);
  const run = async (act: typeof start, words: string) => setDone((await act({ id: test.id })) ? words : "");
  const { status, allocationPolicy } = test;
  return (
    <>
      <div className="row">
        {status !== "RUNNING" && status !== "ENDED" && (
          <Button kind="primary" onClick={() => void run(start, "The test runs.")}>
            {status === "PAUSED" ? "Go on" : "Start"}
          </Button>
        )}
        {status === "RUNNING" && <Button onClick={() => void run(pause, "The test is paused.")}>Pause</Button>}
        {status === "RUNNING" && allocationPolicy !== "FIXED" && (
          <Button onClick={() => void run(reallocate, "The shares were worked out anew.")}>Reallocate now</Button>
        )}
        {status !== "DRAFT" && <Button onClick={() => void run(analyze, "The analysis is saved.")}>Save analysis</Button>}
        {(status === "RUNNING" || status === "PAUSED") && (
          <Button kind="danger" onClick={() => setEnding(true)}>
            End…
          </Button>
        )}
      </div>
      <p role="status" className="muted">
        {done}
      </p>
      {problem && <Notice tone="bad">{problem}</Notice>}
      {ending && <EndDialog test={test} verdict={verdict} onClose={() => setEnding(false)} onEnded={onChanged} />}
    </>
  );
}

interface EndProps extends Omit<Props, "onChanged"> {
  onClose: () => void;
  onEnded: () => void;
}

function EndDialog({ test, verdict, onClose, onEnded }: EndProps) {
  const { winner: suggested, decision } = verdict;
  const [winner, setWinner] = useState(suggested?.key ?? "");
  const [problem, setProblem] = useState("");
  const end = useAction(END, "endTest", onEnded, setProblem);
  const options = [{ value: "", name: "None" }, ...test.variants.map(({ key, name }) => ({ value: key, name }))];
  const confirm = async () => {
    const id = test.variants.find(({ key }) => key === winner)?.id ?? null;
    if (await end({ id: test.id, winner: id })) onClose();
  };
  return (
    <Dialog title={`End ${test.name}?`} onClose={onClose}>
      <div className="stack">
        <p>It assigns nobody from then on, saves a last analysis, and cannot be started again.</p>
        {decision === "KEEP_RUNNING" && (
          <Notice tone="warn">The verdict is still to keep running: whoever ends now may not know who won.</Notice>
        )}
        <Select label="Winner" options={options} value={winner} onChange={setWinner} />
        {problem && <Notice tone="bad">{problem}</Notice>}
        <div className="row">
          <Button kind="danger" onClick={() => void confirm()}>
            End the test
          </Button>
          <Button onClick={onClose}>Let it run</Button>
        </div>
      </div>
    </Dialog>
  );
}

type Payload = { errors: readonly { message: string }[] };

/** Run a mutation; tell what was refused, and return whether it was done. */
function useAction<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  field: keyof Data,
  onDone: () => void,
  onProblem: (words: string) => void,
): (variables: Variables) => Promise<boolean> {
  const [, run] = useMutation(document);
  return async (variables) => {
    const { data, error } = await run(variables);
    const refused = (data?.[field] as Payload | undefined)?.errors ?? [];
    onProblem(error ? wordsOf(error) : refused.map(({ message }) => message).join(" "));
    const done = !error && refused.length === 0;
    if (done) onDone();
    return done;
  };
}
