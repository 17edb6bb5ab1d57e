import { useMutation } from "@apollo/client/react";
import { SEND_BROADCAST, type Broadcast } from "./operations";
import { Problems } from "./Problems";
import { ProgressBar } from "./ProgressBar";

export function BroadcastCard({ broadcast }: { broadcast: Broadcast }) {
  const { id, title, body, status } = broadcast;
  const [send, { data, error, loading }] = useMutation(SEND_BROADCAST, { errorPolicy: "all" });
  const input = { id, idempotencyKey: `send-${id}` };

  return (
    <article className="card">
      <header>
        <h3>{title}</h3>
        <span className={`badge ${status.toLowerCase()}`}>{status.toLowerCase()}</span>
      </header>
      <p>{body}</p>
      <Problems error={error} userErrors={data?.sendBroadcast?.userErrors} />
      {status === "SENDING" || status === "PAUSED" ? <ProgressBar broadcast={broadcast} /> : <Outcome broadcast={broadcast} />}
      {status === "DRAFT" && (
        <button disabled={loading} onClick={() => send({ variables: { input } })}>
          {loading ? "Starting…" : "Send to everybody"}
        </button>
      )}
    </article>
  );
}

function Outcome({ broadcast }: { broadcast: Broadcast }) {
  const { createdBy, createdAt, scheduledAt, status, errorMessage, stats } = broadcast;
  const parts = [
    `${createdBy?.name ?? "Somebody"}, ${when(createdAt)}`,
    status === "SCHEDULED" && scheduledAt && `starts ${when(scheduledAt)}`,
    stats.totalRecipients > 0 && `${count(stats.totalSent)} of ${count(stats.totalRecipients)} sent`,
    stats.totalFailed > 0 && `${count(stats.totalFailed)} failed`,
    stats.openRate !== null && `${Math.round(stats.openRate * 100)} % opened`,
    errorMessage,
  ];
  return <p className="quiet">{parts.filter(Boolean).join(" · ")}</p>;
}

const count = (value: number) => value.toLocaleString();
const when = (instant: string) =>
  new Date(instant).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
