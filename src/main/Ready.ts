/** What a demo tells scripts once it is ready: printed as one line with `--json`, and kept as `demo.json` in its folder. */
import { Schema } from "effect"

export const Ready = Schema.Struct({
  checkoutUrl: Schema.String,
  apiUrl: Schema.String,
  apiKey: Schema.String,
  invoiceId: Schema.String,
  docsUrl: Schema.String,
  rpcUrl: Schema.String
})
export type Ready = typeof Ready.Type
