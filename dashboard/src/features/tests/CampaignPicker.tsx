import { useEffect, useId, useState, type KeyboardEvent } from "react";
import { useQuery } from "urql";
import { Field } from "@/components";
import type { TestsCampaignsQuery } from "@/graph";
import { CAMPAIGNS } from "./documents";

interface Props {
  /** A campaign's key; empty for none. */
  value: string;
  problem: string | undefined;
  onChange: (key: string) => void;
}

type Campaign = TestsCampaignsQuery["campaigns"]["nodes"][number];

/** A campaign, found by a part of its name or key while one types; a key that is typed whole counts too. */
export function CampaignPicker({ value, problem, onChange }: Props) {
  const list = useId();
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const search = usePaused(value);
  const [{ data }] = useQuery({ query: CAMPAIGNS, variables: { search: search.trim() || null }, pause: !open });
  const found = open ? (data?.campaigns.nodes ?? []) : [];
  const choose = ({ key }: Campaign) => {
    onChange(key);
    setOpen(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const chosen = found[active];
    if (step && found.length > 0) {
      event.preventDefault();
      setActive((before) => (before + step + found.length) % found.length);
    } else if (event.key === "Enter" && chosen) {
      event.preventDefault();
      choose(chosen);
    } else if (event.key === "Escape") setOpen(false);
  };
  const type = (key: string) => {
    onChange(key);
    setOpen(true);
    setActive(0);
  };
  return (
    <div className="picker">
      <Field label="Campaign" hint={shown(found, value) ?? "Type a part of its name; empty: about none"} problem={problem}>
        {(control) => (
          <input
            {...control}
            type="text"
            role="combobox"
            autoComplete="off"
            aria-autocomplete="list"
            aria-expanded={found.length > 0}
            aria-controls={list}
            {...(found[active] ? { "aria-activedescendant": `${list}-${active}` } : {})}
            value={value}
            onChange={(event) => type(event.target.value)}
            onFocus={() => setOpen(true)}
            onBlur={() => setOpen(false)}
            onKeyDown={onKeyDown}
          />
        )}
      </Field>
      <ul id={list} role="listbox" aria-label="Campaigns" hidden={found.length === 0}>
        {found.map((campaign, index) => (
          <li
            key={campaign.key}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === active}
            onPointerDown={(event) => {
              event.preventDefault(); // the input keeps the focus
              choose(campaign);
            }}
          >
            {campaign.name} <span className="muted">{campaign.key}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

const TYPING_MILLISECONDS = 200;

/** What is typed, once its writer pauses. */
function usePaused(typed: string): string {
  const [paused, setPaused] = useState(typed);
  useEffect(() => {
    const timer = setTimeout(() => setPaused(typed), TYPING_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [typed]);
  return paused;
}

const shown = (found: readonly Campaign[], value: string) => found.find(({ key }) => key === value)?.name;
