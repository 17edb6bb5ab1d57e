import { useMutation } from "@apollo/client/react";
import type { FormEvent } from "react";
import { SIGN_IN } from "./operations";
import { Problems } from "./Problems";
import { keep } from "./session";

export function SignIn() {
  const [signIn, { data, error, loading }] = useMutation(SIGN_IN, { errorPolicy: "all" });

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const input = { email: String(form.get("email")), password: String(form.get("password")) };
    const { accessToken, refreshToken, expiresAt } = (await signIn({ variables: { input } })).data?.signIn ?? {};
    if (accessToken && refreshToken && expiresAt) keep({ accessToken, refreshToken, expiresAt });
  }

  return (
    <main className="sign-in">
      <form className="card" onSubmit={submit}>
        <h1>ReplyHQ</h1>
        <label>
          E-mail
          <input name="email" type="email" autoComplete="username" required autoFocus />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        <Problems error={error} userErrors={data?.signIn?.userErrors} />
        <button disabled={loading}>{loading ? "Signing in…" : "Sign in"}</button>
      </form>
    </main>
  );
}
