import { useRef, useState, type ReactNode } from "react";
import { Button, Card } from "./basics";
import { download, pngOf } from "./exporting";
import { csvOf, DataTable, type Table } from "./table";

interface FigureProps<Row> {
  title: string;
  note?: ReactNode;
  /** What the files are called, without an ending. */
  file: string;
  /** What the chart shows, as plain values: for CSV, and for those who read rather than look. */
  table: Table<Row>;
  tools?: ReactNode;
  className?: string;
  children: ReactNode;
}

/** A chart with its title, its data as a table, and both to take away: PNG and CSV. */
export function Figure<Row>({ title, note, file, table, tools, className, children }: FigureProps<Row>) {
  const body = useRef<HTMLDivElement>(null);
  const [asTable, setAsTable] = useState(false);
  const [problem, setProblem] = useState("");
  const savePng = async () => {
    const chart = body.current?.querySelector<SVGSVGElement>("svg[data-chart]");
    if (!chart) return;
    try {
      download(await pngOf(chart, title), `${file}.png`);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  const saveCsv = () => download(new Blob(["\uFEFF", csvOf(table)], { type: "text/csv;charset=utf-8" }), `${file}.csv`);
  const exporting = (
    <div className="button-group" role="group" aria-label={`${title}: as`}>
      <Button kind="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
        Table
      </Button>
      <Button kind="quiet" disabled={asTable} onClick={() => void savePng()}>
        PNG
      </Button>
      <Button kind="quiet" onClick={saveCsv}>
        CSV
      </Button>
    </div>
  );
  return (
    <Card
      title={title}
      note={note}
      className={`figure ${className ?? ""}`}
      tools={
        <>
          {tools}
          {exporting}
        </>
      }
    >
      {problem && <p className="problem">{problem}</p>}
      <div ref={body}>{asTable ? <DataTable caption={title} {...table} /> : children}</div>
    </Card>
  );
}
