import { useEffect, useState } from "react";
import { useMutation, useQuery, useSubscription } from "urql";
import {
  Answer,
  Badge,
  Button,
  Card,
  DataTable,
  Dialog,
  Empty,
  formatCount,
  formatMoment,
  formatNumber,
  inWords,
  MISSING,
  Notice,
  Progress,
  StatusBadge,
  type Column,
} from "@/components";
import { wordsOf, type AdviceModelsQuery } from "@/graph";
import { ACTIVATE, CANCEL, MODELS, TRAIN, TRAINING } from "./documents";

type Model = AdviceModelsQuery["models"][number];

const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);

/** Every version of every model; training, and going back to an earlier one. */
export function Models() {
  const [result, ask] = useQuery({ query: MODELS });
  const [job, setJob] = useState("");
  const [problem, setProblem] = useState("");
  const [chosen, setChosen] = useState<Model | null>(null);
  const [{ fetching }, train] = useMutation(TRAIN);
  const start = async () => {
    const { data, error } = await train({});
    setProblem(error ? wordsOf(error) : (data?.trainModels.errors ?? []).map(({ message }) => message).join(" "));
    setJob(data?.trainModels.job?.id ?? "");
  };
  const again = () => ask({ requestPolicy: "network-only" });
  return (
    <Card
      title="Models"
      note="What is served comes from the active version of each kind"
      tools={
        <Button kind="primary" disabled={fetching} onClick={() => void start()}>
          Train now
        </Button>
      }
    >
      <div className="stack">
        {problem && <Notice tone="bad">{problem}</Notice>}
        {job && <Training key={job} id={job} onEnded={again} onProblem={setProblem} />}
        <Answer of={result} onRetry={ask}>
          {({ models }) =>
            models.length > 0 ? (
              <DataTable caption="Versions of the models" columns={columnsOf(setChosen)} rows={models} keyOf={({ id }) => id} />
            ) : (
              <Empty title="No model is trained yet">Train them now; a worker does it every night, too.</Empty>
            )
          }
        </Answer>
        {chosen && <Activate model={chosen} onClose={() => setChosen(null)} onDone={again} />}
      </div>
    </Card>
  );
}

interface TrainingProps {
  id: string;
  onEnded: () => void;
  onProblem: (words: string) => void;
}

function Training({ id, onEnded, onProblem }: TrainingProps) {
  const [{ data }] = useSubscription({ query: TRAINING, variables: { id } });
  const [, cancel] = useMutation(CANCEL);
  const job = data?.job;
  const ended = job !== undefined && ENDED.has(job.status);
  useEffect(() => {
    if (ended) onEnded();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once, when it ends
  }, [ended]);
  const stop = async () => {
    const { data: answer, error } = await cancel({ id });
    onProblem(error ? wordsOf(error) : (answer?.cancelJob.errors ?? []).map(({ message }) => message).join(" "));
  };
  return (
    <section aria-label="Training" className="stack">
      <p role="status">
        <StatusBadge status={job?.status ?? "QUEUED"} /> {job?.error ?? job?.message ?? "waits for a worker"}
      </p>
      <Progress value={job?.status === "SUCCEEDED" ? 1 : (job?.progress ?? 0)} label="Training" />
      {!ended && (
        <div>
          <Button onClick={() => void stop()}>Cancel</Button>
        </div>
      )}
    </section>
  );
}

function Activate({ model, onClose, onDone }: { model: Model; onClose: () => void; onDone: () => void }) {
  const [problem, setProblem] = useState("");
  const [, activate] = useMutation(ACTIVATE);
  const confirm = async () => {
    const { data, error } = await activate({ id: model.id });
    const refused = (data?.activateModel.errors ?? []).map(({ message }) => message).join(" ");
    if (error || refused) {
      setProblem(error ? wordsOf(error) : refused);
      return;
    }
    onDone();
    onClose();
  };
  return (
    <Dialog title={`Serve version ${model.version} of ${inWords(model.kind)}?`} onClose={onClose}>
      <div className="stack">
        <p>Its predictions of {formatMoment(model.trainedAt)} are served from then on, until another version is activated or trained.</p>
        {problem && <Notice tone="bad">{problem}</Notice>}
        <div className="row">
          <Button kind="primary" onClick={() => void confirm()}>
            Serve it
          </Button>
          <Button onClick={onClose}>Leave it</Button>
        </div>
      </div>
    </Dialog>
  );
}

/** Plain figures of scores, each by its name; nested ones are left out. */
export function figuresOf(scores: unknown): [string, number][] {
  if (typeof scores !== "object" || scores === null) return [];
  return Object.entries(scores).filter((entry): entry is [string, number] => typeof entry[1] === "number");
}

const written = (figures: readonly [string, number][], most: number) =>
  figures
    .slice(0, most)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${formatNumber(value)}`)
    .join(", ") || MISSING;

/** What each feature is worth, the weightiest first. */
export function weightiest(importances: unknown): [string, number][] {
  if (typeof importances !== "object" || importances === null) return [];
  const worth = Object.entries(importances).map(([name, one]): [string, unknown] => [name, (one as { importance?: unknown } | null)?.importance]);
  return figuresOf(Object.fromEntries(worth)).sort(([, one], [, other]) => other - one);
}

const columnsOf = (onChoose: (model: Model) => void): Column<Model>[] => [
  { name: "Model", value: ({ kind }) => inWords(kind) },
  { name: "Version", value: ({ version }) => version, numeric: true },
  { name: "Trained", value: ({ trainedAt }) => trainedAt, show: ({ trainedAt }) => formatMoment(trainedAt), minor: true },
  { name: "Rows", value: ({ trainingRows }) => trainingRows, show: ({ trainingRows }) => formatCount(trainingRows), numeric: true, minor: true },
  { name: "Seconds", value: ({ seconds }) => seconds, show: ({ seconds }) => formatNumber(seconds), numeric: true, minor: true },
  { name: "Scores", value: ({ scores }) => written(figuresOf(scores), 4), minor: true },
  { name: "Weightiest features", value: ({ featureImportances }) => written(weightiest(featureImportances), 3), minor: true },
  {
    name: "Served",
    value: ({ active }) => active,
    show: (model) =>
      model.active ? (
        <Badge tone="good">Active</Badge>
      ) : (
        <Button kind="quiet" onClick={() => onChoose(model)} aria-label={`Serve version ${model.version} of ${inWords(model.kind)}`}>
          Serve
        </Button>
      ),
  },
];
