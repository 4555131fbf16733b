import { Button, Field, Select } from "@/components";
import { PAYLOADS, type PayloadDraft } from "./form";
import { Text } from "./Text";

interface Props {
  payload: PayloadDraft;
  problem: string | undefined;
  onChange: (payload: PayloadDraft) => void;
}

const TRUTHS = [
  { value: "true", name: "True" },
  { value: "false", name: "False" },
] as const;

/** What a variant's flag is: its type, and a value of that type. */
export function PayloadFields({ payload, problem, onChange }: Props) {
  const set = (text: string) => onChange({ ...payload, text });
  const value = { value: payload.text, problem, onText: set };
  return (
    <>
      <Select
        label="Payload"
        options={PAYLOADS}
        value={payload.type}
        onChange={(type) => onChange({ ...payload, type, text: type === "boolean" ? "true" : "" })}
      />
      {payload.type === "string" && <Text label="Payload's text" {...value} />}
      {payload.type === "number" && <Text label="Payload's number" inputMode="decimal" {...value} />}
      {payload.type === "boolean" && <Select label="Payload's value" options={TRUTHS} value={payload.text === "false" ? "false" : "true"} onChange={set} />}
      {payload.type === "object" && <Entries payload={payload} onChange={onChange} />}
      {payload.type === "json" && <Text label="Payload, JSON" placeholder={'{"title": "5 back"}'} {...value} />}
    </>
  );
}

function Entries({ payload, onChange }: Omit<Props, "problem">) {
  const { entries } = payload;
  const set = (index: number, changes: Partial<(typeof entries)[number]>) =>
    onChange({ ...payload, entries: entries.map((one, place) => (place === index ? { ...one, ...changes } : one)) });
  return (
    <div className="entries" role="group" aria-label="Payload's fields">
      {entries.map(({ name, value }, index) => (
        <div key={index} className="entry">
          <Field label="Field">{(control) => <input {...control} type="text" autoComplete="off" value={name} onChange={(event) => set(index, { name: event.target.value })} />}</Field>
          <Field label="Value" hint={index === 0 ? '7 is a number, "7" a text' : undefined}>
            {(control) => <input {...control} type="text" autoComplete="off" value={value} onChange={(event) => set(index, { value: event.target.value })} />}
          </Field>
        </div>
      ))}
      <div className="form-actions">
        <Button kind="quiet" onClick={() => onChange({ ...payload, entries: [...entries, { name: "", value: "" }] })}>
          Add a field
        </Button>
        {entries.length > 1 && (
          <Button kind="quiet" onClick={() => onChange({ ...payload, entries: entries.slice(0, -1) })}>
            Remove the last
          </Button>
        )}
      </div>
    </div>
  );
}
