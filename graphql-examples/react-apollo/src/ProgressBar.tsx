import { useApolloClient, useSubscription } from "@apollo/client/react";
import { BROADCAST, BROADCAST_PROGRESS, type Broadcast, type Progress } from "./operations";
import { Problems } from "./Problems";

/** Follows a broadcast until it ends. Each frame goes into the cache, so everything that shows the broadcast follows. */
export function ProgressBar({ broadcast: { id, status, stats } }: { broadcast: Broadcast }) {
  const client = useApolloClient();
  const { data, error } = useSubscription(BROADCAST_PROGRESS, {
    variables: { id },
    onData: ({ data: { data: frame } }) => frame && show(frame.broadcastProgress),
  });

  function show(frame: Progress) {
    const cached = client.cache.identify({ __typename: "Broadcast", id });
    client.cache.modify({ id: cached, fields: { status: () => frame.status, stats: () => frame.stats } });
    // The last frame lacks what only the broadcast itself knows, e.g. why it failed.
    if (frame.ended) void client.query({ query: BROADCAST, variables: { id }, fetchPolicy: "network-only" });
  }

  const done = stats.totalSent + stats.totalFailed;
  const counts = `${done.toLocaleString()} of ${stats.totalRecipients.toLocaleString()}`;
  const rate = status === "SENDING" && data?.broadcastProgress.rate;
  return (
    <div className="progress">
      <progress max={stats.totalRecipients || 1} value={done} />
      <p className="quiet">{rate ? `${counts} · ${Math.round(rate).toLocaleString()} a second` : counts}</p>
      <Problems error={error} />
    </div>
  );
}
