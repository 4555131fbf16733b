import { useQuery } from "urql";
import { Link } from "wouter";
import {
  Answer,
  Card,
  DataTable,
  Empty,
  Figure,
  formatMoment,
  formatMoney,
  formatNumber,
  formatPercent,
  inWords,
  MISSING,
  Notice,
  Search,
  Skeleton,
  useAddress,
  type Column,
} from "@/components";
import { HeatMap } from "@/components/charts";
import type { AdviceHoursQuery, AdvicePersonQuery } from "@/graph";
import { HOURS, PERSON } from "./documents";
import { FILTERS } from "./filters";

type Person = NonNullable<AdvicePersonQuery["user"]>;
type SendTime = NonNullable<AdviceHoursQuery["user"]>["sendTime"];

const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const HOUR_NAMES = Array.from({ length: 24 }, (_, hour) => String(hour));

const degrees = (typed: string) => (typed === "" || !Number.isFinite(Number(typed)) ? null : Number(typed));

/** What the models say of one person: when to send, which merchants, which offers. */
export function PersonAdvice() {
  const [{ user, latitude, longitude }, set] = useAddress(FILTERS);
  const position = { latitude: degrees(latitude), longitude: degrees(longitude) };
  const near = position.latitude !== null && position.longitude !== null ? position : { latitude: null, longitude: null };
  const [person, ask] = useQuery({ query: PERSON, variables: { id: user, ...near }, pause: user === "" });
  const [hours, askHours] = useQuery({ query: HOURS, variables: { id: user }, pause: user === "" });
  return (
    <Card title="A person's hours, merchants and offers" note="By your own id of them">
      <div className="stack">
        <div className="row">
          <Search label="User" value={user} onChange={(typed) => set({ user: typed })} />
          <Search label="Latitude" value={latitude} onChange={(typed) => set({ latitude: typed })} />
          <Search label="Longitude" value={longitude} onChange={(typed) => set({ longitude: typed })} />
        </div>
        {user && (
          <Answer of={person} onRetry={ask} skeleton={<Skeleton height={300} />}>
            {(data) =>
              data.user ? (
                <>
                  <Answer of={hours} onRetry={askHours}>
                    {(found) => found.user && <Hours time={found.user.sendTime} file={`${user}-hours`} />}
                  </Answer>
                  <Liked person={data.user} />
                </>
              ) : (
                <Empty title="Nobody has this id">Users are made by upsertUsers, or by the first event that names them.</Empty>
              )
            }
          </Answer>
        )}
      </div>
    </Card>
  );
}

/** Rows of the map: each day where one is better than the others, else all days as one. */
export function rowsOf({ dayOfWeek }: Pick<SendTime, "dayOfWeek">): string[] {
  return dayOfWeek == null ? ["Every day"] : [DAYS[dayOfWeek - 1] ?? "Every day"];
}

function Hours({ time, file }: { time: SendTime; file: string }) {
  const [row = "Every day"] = rowsOf(time);
  const quiet = new Set(time.quietHours);
  const values = time.byHour.map((probability, hour) => (quiet.has(hour) ? null : probability));
  return (
    <Figure
      title="Chance to be opened, by hour"
      note={`Local hours, ${time.timezone}; empty hours are quiet`}
      file={file}
      table={{
        columns: [
          { name: "Hour", value: ({ hour }) => hour, numeric: true },
          { name: "Chance", value: ({ chance }) => chance, show: ({ chance }) => formatPercent(chance), numeric: true },
        ],
        rows: values.map((chance, hour) => ({ hour, chance })),
      }}
    >
      <div className="stack">
        <HeatMap
          label={`Best at ${time.hour} o'clock: ${formatPercent(time.openProbability)}`}
          rows={[row]}
          columns={HOUR_NAMES}
          values={[values]}
          format={(value) => formatPercent(value)}
          nameX="Hour"
          height={110}
        />
        <p>
          Send at <strong>{time.hour}:00</strong>
          {time.dayOfWeek != null && ` on ${row}s`}: opened in {formatPercent(time.openProbability)} ({formatPercent(time.interval.low)} to{" "}
          {formatPercent(time.interval.high)}), by what {EVIDENCE[time.evidence]} did. Next: {formatMoment(time.nextAt)}.
          {time.explored && ` Today's hour was drawn by lot, with probability ${formatPercent(time.probability)}.`}
        </p>
        <ul>
          {time.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      </div>
    </Figure>
  );
}

const EVIDENCE: Record<SendTime["evidence"], string> = {
  USER: "this person",
  SEGMENT: "people of the same segment",
  GLOBAL: "everyone",
};

interface Scored {
  rank: number;
  score: number;
  distanceKm?: number | null;
  evidence: SendTime["evidence"];
  reasons: readonly string[];
}

const scored = <Row extends Scored>(): Column<Row>[] => [
  { name: "Score", value: ({ score }) => score, show: ({ score }) => formatNumber(score), numeric: true },
  { name: "Kilometres", value: ({ distanceKm }) => distanceKm, show: ({ distanceKm }) => formatNumber(distanceKm), numeric: true, minor: true },
  { name: "Rests on", value: ({ evidence }) => inWords(evidence), minor: true },
  { name: "Why", value: ({ reasons }) => reasons.join("; ") || MISSING },
];

function Liked({ person }: { person: Person }) {
  const { affinities, recommendedCampaigns } = person;
  return (
    <div className="columns">
      <section aria-label="Merchants">
        <h3>Merchants</h3>
        {affinities.length > 0 ? (
          <DataTable
            caption="Merchants likely to be visited"
            rows={affinities}
            keyOf={({ merchant }) => merchant.key}
            columns={[{ name: "Merchant", value: ({ merchant }) => merchant.name }, ...scored<Person["affinities"][number]>()]}
          />
        ) : (
          <Notice>No model of affinity is trained yet: train it below.</Notice>
        )}
      </section>
      <section aria-label="Live offers">
        <h3>Live offers</h3>
        {recommendedCampaigns.length > 0 ? (
          <DataTable
            caption="Live offers for this person"
            rows={recommendedCampaigns}
            keyOf={({ campaign }) => campaign.key}
            columns={[
              {
                name: "Offer",
                value: ({ campaign }) => campaign.name,
                show: ({ campaign }) => (
                  <>
                    <Link href={`/campaigns/${campaign.key}`}>{campaign.name}</Link> {formatMoney(campaign.offerAmount, campaign.currency)}
                  </>
                ),
              },
              ...scored<Person["recommendedCampaigns"][number]>(),
            ]}
          />
        ) : (
          <Notice>No live campaign suits this person.</Notice>
        )}
      </section>
    </div>
  );
}
