import { useQuery } from "@apollo/client/react";
import { BroadcastCard } from "./BroadcastCard";
import { BROADCASTS } from "./operations";
import { Problems } from "./Problems";

const FIRST = 10;

export function BroadcastList() {
  const { data, error, loading, fetchMore } = useQuery(BROADCASTS, { variables: { first: FIRST } });
  const { edges = [], pageInfo } = data?.broadcasts ?? {};
  const more = () => fetchMore({ variables: { first: FIRST, after: pageInfo?.endCursor } });

  return (
    <section>
      <h2>Broadcasts</h2>
      <Problems error={error} />
      {loading && edges.length === 0 && <p className="quiet">Loading…</p>}
      {data && edges.length === 0 && <p className="quiet">None yet. Write the first one.</p>}
      {edges.map(({ node }) => (
        <BroadcastCard key={node.id} broadcast={node} />
      ))}
      {pageInfo?.hasNextPage && (
        <button className="plain" onClick={more}>
          Show more
        </button>
      )}
    </section>
  );
}
