import type { InputHTMLAttributes } from "react";
import { Field } from "@/components";

interface TextProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange"> {
  label: string;
  hint?: string;
  problem?: string | undefined;
  onText: (text: string) => void;
}

/** A line of text with its label, hint and problem. */
export function Text({ label, hint, problem, onText, ...rest }: TextProps) {
  return (
    <Field label={label} hint={hint} problem={problem}>
      {(control) => <input {...rest} {...control} type="text" autoComplete="off" onChange={(event) => onText(event.target.value)} />}
    </Field>
  );
}
