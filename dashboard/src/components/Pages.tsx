import { Button } from "./basics";

interface PagesProps {
  /** The cursor after which this page begins; empty for the first. */
  after: string;
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
  onChange: (after: string) => void;
}

/** To the first page, and to the next, where there are such. */
export function Pages({ after, pageInfo, onChange }: PagesProps) {
  return (
    <div className="row">
      {after && <Button onClick={() => onChange("")}>First page</Button>}
      {pageInfo.hasNextPage && <Button onClick={() => onChange(pageInfo.endCursor ?? "")}>Next page</Button>}
    </div>
  );
}
