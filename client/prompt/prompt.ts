import { printable } from "../../backends/common/printable.ts";
import type { SessionStatus } from "../session.ts";

/** The consequence of a sign-in without a refresh token. */
const NO_REFRESH =
  "The provider gave no refresh token: you have to sign in again when the token ends. Ask for the " +
  "scope offline_access (the default has it), and have it allowed for this client. In the browser " +
  'flow some providers also need authorizationParameters: { prompt: "consent" }. On the command line ' +
  "this is logout, and login --parameter prompt=consent.";

const ENDS: Record<Failure, string> = {
  denied: "Not signed in: the sign-in was refused.",
  expired: "Not signed in: nobody approved in time. Try again.",
  interrupted: "Not signed in: the sign-in was interrupted.",
  error: "The sign-in failed: see the error.",
};

/** The reason why a page closes that nobody has used. */
const ELSEWHERE = "You signed in at another prompt, and this program uses that sign-in.";

export interface SignInPage {
  issuer: string;
  url: string;
  /** The address in short, as the text of a link. */
  shortUrl: string;
  /** The code that the person enters on the page, or compares where the page shows it already. */
  code?: { text: string; isFilledIn: boolean };
  /** The end of the page, and of its code. */
  expiresAt: Date;
  /** For a page whose answer comes back to this computer: the other ways for it. */
  answer?: PageAnswer;
}

/** The address that a browser ends on, and the ways for it from another machine. */
export interface PageAnswer {
  /** The address without its parameters. */
  redirectUri: string;
  /** The address to open in a browser of this computer: others can read it, and it leads to the page. */
  startUrl: string;
  /** Takes an address. Gives the reason where it is of no use. */
  submit: (address: string) => string | undefined;
  /** The way for an address where the page is shown, in lines. */
  handIn?: readonly string[];
}

/** A place where a person is asked to sign in, from the page to the outcome. */
export interface Prompt {
  /** Adds a line to what is shown. */
  note(text: string): Promise<void>;
  /** Puts the end of the sign-in in the place of the wait. Never throws. */
  end(outcome: Outcome): Promise<void>;
}

/** The kind of an unsuccessful sign-in. */
export type Failure = "denied" | "expired" | "interrupted" | "error";

/** The end of a sign-in, as a person sees it. All texts are from outside. */
export type Outcome = SignedIn | { kind: Failure };

export interface SignedIn extends Omit<SessionStatus, "kind" | "signedIn"> {
  kind: "signed_in";
  /** Whether another program has signed in, and the page was of no use. */
  isElsewhere?: boolean;
}

/** The page in plain lines, which are true whenever they are read. */
export function plainPrompt(page: SignInPage, notes: readonly string[] = []) {
  const { issuer, url, code, answer, expiresAt } = page;
  const lines = [
    `Sign in at ${printable(issuer)}`,
    `  1. Open this page      ${printable(url, Infinity)}`,
  ];
  if (code) {
    const task = code.isFilledIn ? "Confirm this code" : "Enter this code  ";
    lines.push(`  2. ${task}   ${printable(code.text)}`);
  }
  if (answer) {
    lines.push(`  2. ${arrival(answer)}.`, ...awayLines(answer).map((line) => `  ${line}`));
  }
  lines.push(...notes.map((note) => printable(note)));
  const end = formatTime(expiresAt);
  lines.push(`Waiting for your approval (the ${endsWith(page)} ends at ${end}) …\n`);
  return lines.join("\n");
}

/** The part of a page that has an end. */
function endsWith({ code }: SignInPage) {
  return code ? "code" : "link";
}

/** The way of the answer back to this program. */
function arrival({ redirectUri }: PageAnswer) {
  return `Sign in there. The browser then goes to ${printable(redirectUri)}`;
}

/** The way for a browser that cannot come here by itself. */
function awayLines({ handIn }: PageAnswer) {
  if (handIn === undefined) return ["The browser has to be on this computer."];
  return [
    "Does that page not load, for example in a browser on another machine?",
    ...handIn.map((line) => printable(line, Infinity)),
  ];
}

export function outcomeLines(outcome: Outcome) {
  if (outcome.kind !== "signed_in") return [ENDS[outcome.kind]];
  const { email, name, subject, expiresAt, backend, refreshable, isElsewhere } = outcome;
  const who = email ?? name ?? subject;
  const end = formatTime(expiresAt ?? 0);
  const place = printable(backend?.location ?? `${backend?.name}`);
  const lines = [
    `Signed in${who === undefined ? "" : ` as ${printable(who)}`}.`,
    `The token is valid until ${end} and stored in ${place}.`,
  ];
  if (isElsewhere) lines.push(ELSEWHERE);
  if (!refreshable) lines.push(NO_REFRESH);
  return lines;
}

/**
 * Date and time where the program runs, with the offset from UTC, since the reader may be elsewhere:
 * "2026-11-27 08:07 +01:00". JSON has ISO 8601 in UTC instead.
 */
export function formatTime(time: Date | number) {
  const text = new Date(time).toLocaleString("sv-SE", TIME_PARTS); // "2026-11-27 08:07 GMT+01:00"
  return text.replace(/GMT$/, "+00:00").replace("GMT", "").replace("\u2212", "-");
}

const TIME_PARTS = {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "longOffset",
} as const;

interface PromptView {
  /** The id of the display, and of the element in it. */
  id: string;
  page: SignInPage;
  /** As SVG; empty where a phone is of no use. */
  qr: string;
}

/**
 * The prompt as HTML. Without scripts it is complete, and true whenever it is read: the output stays in
 * the notebook if the page is reloaded, and where nobody trusts the notebook no script runs. The script
 * adds a copy button, the seconds, and the end. All text of the provider is escaped, and none of it is
 * in the script or the style.
 */
export function promptHtml({ id, page, qr }: PromptView, now: number, notes: readonly string[]) {
  const { url, code, answer, expiresAt } = page;
  const href = `href="${escapeHtml(url, Infinity)}" target="_blank" rel="noopener noreferrer"`;
  const steps = [`Open <a ${href}>${escapeHtml(page.shortUrl)}</a>`];
  const remarks = notes.map((note) => escapeHtml(note));
  if (code) {
    const task = code.isFilledIn ? "Check that the page shows this code" : "Enter this code";
    // No `code` element, which JupyterLab paints grey.
    steps.push(`${task}<div class="vm-auth-row"><samp>${escapeHtml(code.text)}</samp></div>`);
  }
  if (answer) {
    steps.push(escapeHtml(arrival(answer), Infinity));
    const away = awayLines(answer).map((line) => escapeHtml(line, Infinity));
    remarks.unshift(away.join("<br>"));
  }
  const list = steps.map((step) => `<li>${step}</li>`).join("");
  const notices = remarks.map((remark) => `<p class="vm-auth-note">${remark}</p>`).join("");
  // The end of the page, by the clock, and the way to the result for a page that is sent no outcome.
  const name = endsWith(page);
  const end = expiresAt.getTime();
  const wait = `The ${name} ends at ${escapeHtml(formatTime(end))}. ${AFTER_RELOAD}`;
  const qrLink = qr &&
    `<a class="vm-auth-qr" ${href} title="Scan with a phone, or click">${qr}</a>`;
  return `${STYLE}<div class="vm-auth vm-auth-card" id="${id}"><div class="vm-auth-main">` +
    `<p class="vm-auth-title">Sign in at ${escapeHtml(page.issuer)}</p><ol>${list}</ol>${notices}` +
    `<p class="vm-auth-wait" data-name="${name}" data-shown="${now}" data-end="${end}">${wait}</p>` +
    `</div>${qrLink}</div><script>${pageScript(id)}</script>`;
}

/**
 * The end of a sign-in as HTML. Without a link: the code is spent. It stays in the notebook and in its
 * exports. So it takes colour and font from its surroundings, and has no style sheet, which a Markdown
 * page would show as text.
 */
export function outcomeHtml(outcome: Outcome, issuer: string) {
  const line = (text: string, style: string) =>
    `<p style="margin:0;${style};overflow-wrap:anywhere">${escapeHtml(text, Infinity)}</p>`;
  const [title, ...details] = outcomeLines(outcome);
  const small = [`At ${issuer}`, ...details].map((text) => line(text, "font-size:13px"));
  return `<div class="vm-auth" style="display:flex;gap:10px;max-width:560px;margin:4px 0">` +
    `<strong>${outcome.kind === "signed_in" ? "✓" : "✕"}</strong>` +
    `<div>${line(title!, "font-weight:600")}${small.join("")}</div></div>`;
}

/** Text from outside as HTML may carry it, in an element or an attribute in quotes. */
export function escapeHtml(text: string, limit?: number) {
  const escaped = (character: string) => `&#${character.codePointAt(0)};`;
  return printable(text, limit).replace(/[&<>"'`]/g, escaped);
}

/** For a page that was reloaded: front ends lose the updates of an output then. */
const AFTER_RELOAD = "Was this page reloaded? Then run the cell again after the approval.";

/** A display that is older was not shown just now: its page was reloaded, or its notebook opened. */
const FRESH_MS = 5000;

/**
 * The script of a prompt. It makes the parts that are of no use without it: a button that copies the
 * code, and the countdown. The countdown goes by the end of the page, since
 * the script runs anew in a notebook that is opened later. This module has made the id.
 */
function pageScript(id: string) {
  return `(()=>{const root=document.getElementById("${id}");if(!root)return;
const find=name=>root.querySelector(name),add=(to,tag,values)=>to.appendChild(Object.assign(document.createElement(tag),values));
const code=find("samp"),wait=find(".vm-auth-wait");
if(code){
const button=add(code.parentNode,"button",{type:"button",textContent:"Copy"});
const select=()=>{const s=getSelection();s.removeAllRanges();const r=document.createRange();r.selectNodeContents(code);s.addRange(r)};
button.onclick=async()=>{try{await navigator.clipboard.writeText(code.textContent)}catch{select();if(!document.execCommand("copy"))return}
button.textContent="Copied";setTimeout(()=>{button.textContent="Copy"},2000)}}
const {name,shown,end}=wait.dataset,hint=Date.now()-shown>${FRESH_MS}?". ${AFTER_RELOAD}":"";
const count=()=>{const s=Math.ceil((end-Date.now())/1000);
if(s>0)wait.textContent="Waiting for approval, expires in "+Math.floor(s/60)+":"+String(s%60).padStart(2,"0")+hint;
else{clearInterval(timer);wait.textContent="This "+name+" has expired. Run the cell again.";wait.classList.add("vm-auth-over")}};
const timer=setInterval(count,1000);count()})()`;
}

/** The look of the prompt in a notebook, in the colours of its front end. */
const STYLE = `<style>
.vm-auth{box-sizing:border-box;display:flex;max-width:560px;margin:4px 0;
font:14px/1.5 var(--jp-content-font-family,var(--vscode-font-family,system-ui,sans-serif))}
.vm-auth p{margin:0}
.vm-auth a{color:var(--jp-content-link-color,var(--vscode-textLink-foreground));overflow-wrap:anywhere}
.vm-auth-card{flex-wrap:wrap;gap:16px 24px;padding:16px 20px;border:1px solid #8888;border-radius:8px}
.vm-auth-main{flex:1 1 300px;min-width:0}
.vm-auth .vm-auth-title{font-weight:600;margin-bottom:8px;overflow-wrap:anywhere}
.vm-auth .vm-auth-main ol{margin:0;padding-left:1.3em}
.vm-auth .vm-auth-main li{margin:4px 0}
.vm-auth-row{display:flex;align-items:center;gap:14px;margin-top:2px}
.vm-auth .vm-auth-row samp{color:inherit;font:600 26px/1.3 var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace));letter-spacing:.06em;user-select:all;-webkit-user-select:all}
.vm-auth button{padding:2px 10px;border:1px solid #8888;border-radius:6px;background:none;color:inherit;font:inherit;font-size:13px;cursor:pointer}
.vm-auth .vm-auth-note,.vm-auth .vm-auth-wait{margin-top:10px;font-size:13px;overflow-wrap:anywhere}
.vm-auth .vm-auth-wait{font-variant-numeric:tabular-nums}
.vm-auth .vm-auth-over{font-weight:600}
.vm-auth-qr{flex:none;align-self:center;line-height:0}
.vm-auth-qr svg{width:132px;height:132px;border-radius:6px;shape-rendering:crispEdges}
</style>`;
