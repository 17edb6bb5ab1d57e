import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  const { REPLYHQ_URL = "http://127.0.0.1:8000" } = loadEnv(mode, ".", "REPLYHQ_");
  // The page and the API share an origin this way. Without the proxy, name the page in REPLYHQ_ALLOWED_ORIGINS.
  const proxy = { "/graphql": { target: REPLYHQ_URL, ws: true } };
  return { plugins: [react()], server: { proxy }, preview: { proxy } };
});
