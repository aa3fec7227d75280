/** Draws the page on the server. Bundled for `src/adapters/checkout/Page.ts`, which loads it. */
import { render } from "preact-render-to-string"
import type { Notice, ServerBundle } from "#adapters/checkout/Page.ts"
import { Icon, type IconName } from "./Icon.tsx"
import { en } from "./messages/en.ts"
import { Page } from "./Page.tsx"

const bundle: ServerBundle = {
  page: (props) => ({ title: en.title(props.snapshot.merchant.name), body: render(<Page {...props} />) }),
  notice: (notice) => ({ title: texts[notice].headline, body: render(<NoticePage {...texts[notice]} />) })
}
export const { notice, page } = bundle

interface Text {
  readonly icon: IconName
  readonly headline: string
  readonly lead: string
}

const texts: Readonly<Record<Notice, Text>> = {
  not_found: { icon: "info", headline: en.notFound, lead: en.notFoundLead },
  unavailable: { icon: "clock", headline: en.unavailable, lead: en.unavailableLead }
}

const NoticePage = ({ headline, icon, lead }: Text) => (
  <div class="page alone">
    <main>
      <section class="outcome">
        <div class="emblem" aria-hidden="true">
          <Icon name={icon} />
        </div>
        <h1>{headline}</h1>
        <p class="lead">{lead}</p>
      </section>
    </main>
  </div>
)
