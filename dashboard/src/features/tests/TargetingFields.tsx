import { useState } from "react";
import { Button, Field, Notice, Select } from "@/components";
import { NEW_CONDITION, OPERATORS, takesValue, type Condition } from "./conditions";
import { turned, type TargetingDraft } from "./form";

interface Props {
  targeting: TargetingDraft;
  problem: string | undefined;
  onChange: (targeting: TargetingDraft) => void;
}

/** Whom a test is for: conditions on attributes that all hold, or any condition as JSON. */
export function TargetingFields({ targeting, problem, onChange }: Props) {
  const [stuck, setStuck] = useState(false);
  const turn = () => {
    const other = turned(targeting);
    setStuck(other === undefined);
    if (other) onChange(other);
  };
  return (
    <fieldset className="targeting">
      <legend>Whom it is for</legend>
      {targeting.asJson ? (
        <Field label="Targeting, JSON" hint={'Such as {"$or": [{"plan": "pro"}, {"spend": {"$gt": 100}}]}; empty: everybody'} problem={problem}>
          {(control) => (
            <textarea {...control} rows={3} spellCheck={false} value={targeting.json} onChange={(event) => onChange({ ...targeting, json: event.target.value })} />
          )}
        </Field>
      ) : (
        <Rows rows={targeting.rows} onChange={(rows) => onChange({ ...targeting, rows })} />
      )}
      {problem && !targeting.asJson && <Notice tone="bad">{problem}</Notice>}
      {stuck && targeting.asJson && <Notice tone="info">Rows cannot say this: it stays JSON.</Notice>}
      <div className="form-actions">
        {!targeting.asJson && <Button onClick={() => onChange({ ...targeting, rows: [...targeting.rows, NEW_CONDITION] })}>Add a condition</Button>}
        <Button kind="quiet" onClick={turn}>
          {targeting.asJson ? "Write it in rows" : "Write it as JSON"}
        </Button>
      </div>
    </fieldset>
  );
}

function Rows({ rows, onChange }: { rows: readonly Condition[]; onChange: (rows: readonly Condition[]) => void }) {
  if (rows.length === 0) return <p className="muted">Everybody.</p>;
  const set = (index: number, changes: Partial<Condition>) => onChange(rows.map((row, place) => (place === index ? { ...row, ...changes } : row)));
  return (
    <>
      {rows.map((row, index) => (
        <Row key={index} row={row} name={`Condition ${index + 1}`} onChange={(changes) => set(index, changes)} onRemove={() => onChange(rows.filter((_, place) => place !== index))} />
      ))}
      {rows.length > 1 && <p className="muted">All of them hold.</p>}
    </>
  );
}

interface RowProps {
  row: Condition;
  name: string;
  onChange: (changes: Partial<Condition>) => void;
  onRemove: () => void;
}

function Row({ row, name, onChange, onRemove }: RowProps) {
  const list = row.operator === "$in" || row.operator === "$nin";
  return (
    <div className="condition-row" role="group" aria-label={name}>
      <Field label="Attribute" hint="Such as segment, timezone, or your own">
        {(control) => <input {...control} type="text" autoComplete="off" value={row.attribute} onChange={(event) => onChange({ attribute: event.target.value })} />}
      </Field>
      <Select label="Comparison" options={OPERATORS} value={row.operator} onChange={(operator) => onChange({ operator })} />
      {takesValue(row.operator) && (
        <Field label={list ? "Values" : "Value"} hint={list ? "Divided by commas" : '7 is a number, "7" a text'}>
          {(control) => <input {...control} type="text" autoComplete="off" value={row.value} onChange={(event) => onChange({ value: event.target.value })} />}
        </Field>
      )}
      <Button kind="quiet" onClick={onRemove} aria-label={`Remove ${name}`}>
        Remove
      </Button>
    </div>
  );
}
