import { useQuery } from "urql";
import { Select } from "@/components";
import { CAMPAIGNS } from "./documents";

interface Props {
  label: string;
  /** What stands where none is chosen. */
  none: string;
  value: string;
  onChange: (key: string) => void;
}

/** One of the campaigns, by name; the one of the address stays even where it is not among the first hundred. */
export function CampaignSelect({ label, none, value, onChange }: Props) {
  const [{ data }] = useQuery({ query: CAMPAIGNS });
  const known = (data?.campaigns.nodes ?? []).map(({ key, name }) => ({ value: key, name }));
  const missing = value && !known.some((one) => one.value === value) ? [{ value, name: value }] : [];
  return <Select label={label} options={[{ value: "", name: none }, ...missing, ...known]} value={value} onChange={onChange} />;
}
