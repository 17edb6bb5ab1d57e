import { useMutation } from "@apollo/client/react";
import type { FormEvent } from "react";
import { CONFIRM_SIGN_IN, SIGN_IN, type TokensPayload } from "./operations";
import { Problems } from "./Problems";
import { keep } from "./session";

/** E-mail and password; then, when the answer is a challenge, a code of the second factor. */
export function SignIn() {
  const [signIn, first] = useMutation(SIGN_IN, { errorPolicy: "all" });
  const [confirm, second] = useMutation(CONFIRM_SIGN_IN, { errorPolicy: "all" });
  const challenge = first.data?.signIn?.challenge;

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const input = { email: String(form.get("email")), password: String(form.get("password")) };
    take((await signIn({ variables: { input } })).data?.signIn);
  }

  async function submitCode(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (!challenge) return;
    const input = { challenge, code: String(new FormData(event.currentTarget).get("code")) };
    take((await confirm({ variables: { input } })).data?.confirmSignIn);
  }

  function startAgain() {
    first.reset();
    second.reset();
  }

  return (
    <main className="sign-in">
      {challenge ? (
        <form className="card" key="code" onSubmit={submitCode}>
          <h1>ReplyHQ</h1>
          <label>
            Code of your authenticator app, or a backup code
            <input name="code" autoComplete="one-time-code" required autoFocus />
          </label>
          <Problems error={second.error} userErrors={second.data?.confirmSignIn?.userErrors} />
          <button disabled={second.loading}>{second.loading ? "Signing in…" : "Sign in"}</button>
          <button type="button" className="plain" onClick={startAgain}>
            Start again
          </button>
        </form>
      ) : (
        <form className="card" key="password" onSubmit={submit}>
          <h1>ReplyHQ</h1>
          <label>
            E-mail
            <input name="email" type="email" autoComplete="username" required autoFocus />
          </label>
          <label>
            Password
            <input name="password" type="password" autoComplete="current-password" required />
          </label>
          <Problems error={first.error} userErrors={first.data?.signIn?.userErrors} />
          <button disabled={first.loading}>{first.loading ? "Signing in…" : "Sign in"}</button>
        </form>
      )}
    </main>
  );
}

function take(payload: TokensPayload | null | undefined) {
  const { accessToken, refreshToken, expiresAt } = payload ?? {};
  if (accessToken && refreshToken && expiresAt) keep({ accessToken, refreshToken, expiresAt });
}
