import { useApolloClient, useQuery } from "@apollo/client/react";
import { useSyncExternalStore } from "react";
import { BroadcastList } from "./BroadcastList";
import { NewBroadcast } from "./NewBroadcast";
import { SESSIONS, SIGN_OUT } from "./operations";
import { isSignedIn, keep, onChange } from "./session";
import { SignIn } from "./SignIn";

export function App() {
  return useSyncExternalStore(onChange, isSignedIn) ? <Board /> : <SignIn />;
}

function Board() {
  return (
    <>
      <TopBar />
      <main>
        <NewBroadcast />
        <BroadcastList />
      </main>
    </>
  );
}

function TopBar() {
  const client = useApolloClient();
  const { data } = useQuery(SESSIONS);
  const current = data?.sessions?.find(({ isCurrent }) => isCurrent);

  async function leave() {
    await client.mutate({ mutation: SIGN_OUT }).catch(() => null);
    keep(null);
  }

  return (
    <nav>
      <strong>{current?.app?.name ?? "ReplyHQ"}</strong>
      <span>{current?.user?.name}</span>
      <button className="plain" onClick={leave}>
        Sign out
      </button>
    </nav>
  );
}
