import { sentence } from "./errors";
import type { UserError } from "./operations";

interface Props {
  error?: unknown;
  userErrors?: UserError[];
}

export function Problems({ error, userErrors = [] }: Props) {
  const lines = [...(error ? [sentence(error)] : []), ...userErrors.map(({ message }) => message)];
  return lines.map((line) => (
    <p className="problem" role="alert" key={line}>
      {line}
    </p>
  ));
}
