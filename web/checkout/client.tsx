/** Brings the page to life in the browser: the same component, from the same snapshot. */
import { hydrate } from "preact"
import type { PageProps } from "#adapters/checkout/Page.ts"
import { Page } from "./Page.tsx"

const props = document.getElementById("props")
const page = document.getElementById("page")
if (props !== null && page !== null) hydrate(<Page {...JSON.parse(props.textContent ?? "") as PageProps} />, page)
