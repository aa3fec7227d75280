/** How the checkout page is built: once for the browser, once for the server. `scripts/build-web.ts` runs both. */
import { defineConfig } from "vite"

export default defineConfig(({ isSsrBuild }) => ({
  publicDir: false,
  build: {
    target: "es2022",
    modulePreload: false,
    emptyOutDir: false,
    rollupOptions: isSsrBuild
      ? { input: { checkout: "web/checkout/server.tsx" }, output: { entryFileNames: "server/[name].mjs" } }
      : {
        input: { checkout: "web/checkout/client.tsx", style: "web/checkout/style.css" },
        output: { entryFileNames: "assets/[name]-[hash].js", assetFileNames: "assets/[name]-[hash][extname]" }
      }
  },
  // One file that needs no node_modules beside it.
  ssr: { noExternal: true }
}))
