import { useApolloClient, useSubscription } from "@apollo/client/react";
import { BROADCAST, BROADCAST_PROGRESS } from "./operations";
import { Problems } from "./Problems";

/** Follows a broadcast until it ends, then reads its final state into the cache, where the list finds it. */
export function ProgressBar({ id }: { id: string }) {
  const client = useApolloClient();
  const { data, error } = useSubscription(BROADCAST_PROGRESS, {
    variables: { id },
    onComplete: () => void client.query({ query: BROADCAST, variables: { id }, fetchPolicy: "network-only" }),
  });
  if (error) return <Problems error={error} />;
  if (!data) return <p className="quiet">Connecting…</p>;
  const { stats, rate, status } = data.broadcastProgress;
  const done = stats.totalSent + stats.totalFailed;
  const counts = `${done.toLocaleString()} of ${stats.totalRecipients.toLocaleString()}`;
  const speed = status === "PAUSED" ? "paused" : rate && `${Math.round(rate).toLocaleString()} a second`;
  return (
    <div className="progress">
      <progress max={stats.totalRecipients || 1} value={done} />
      <p className="quiet">{[counts, speed].filter(Boolean).join(" · ")}</p>
    </div>
  );
}
