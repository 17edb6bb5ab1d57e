import { useMutation } from "@apollo/client/react";
import { useRef, type FormEvent } from "react";
import { BROADCASTS, CREATE_BROADCAST } from "./operations";
import { Problems } from "./Problems";

export function NewBroadcast() {
  const [create, { data, error, loading }] = useMutation(CREATE_BROADCAST, {
    errorPolicy: "all",
    refetchQueries: [BROADCASTS],
  });
  // The same key until an answer comes: a draft that is sent again because the answer was lost is created once.
  const key = useRef(crypto.randomUUID());

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const element = event.currentTarget;
    const form = new FormData(element);
    const content = { title: String(form.get("title")), body: String(form.get("body")) };
    const input = { ...content, target: { targetType: "ALL_USERS" as const }, idempotencyKey: key.current };
    const answer = (await create({ variables: { input } })).data?.createBroadcast;
    if (answer) key.current = crypto.randomUUID();
    if (answer?.broadcast) element.reset();
  }

  return (
    <form className="card" onSubmit={submit}>
      <h2>New broadcast</h2>
      <label>
        Title
        <input name="title" placeholder="The autumn sale has begun" />
      </label>
      <label>
        Message
        <textarea name="body" rows={3} placeholder="Everything warm is 20 % off until Sunday." />
      </label>
      <Problems error={error} userErrors={data?.createBroadcast?.userErrors} />
      <button disabled={loading}>{loading ? "Saving…" : "Save draft"}</button>
    </form>
  );
}
