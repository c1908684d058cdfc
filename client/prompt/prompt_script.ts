/**
 * What the page adds to a prompt where it runs scripts: a button that copies the code, and the
 * seconds. The seconds are counted from the display on, since the reader's clock may be another.
 *
 * @param id The id of the prompt's element, which this module has made.
 */
export const SCRIPT = (id: string): string =>
  `(()=>{const root=document.getElementById("${id}");if(!root)return;
const code=root.querySelector("code"),button=root.querySelector("button"),left=root.querySelector(".vm-auth-left");
const select=()=>{const s=getSelection();s.removeAllRanges();const r=document.createRange();r.selectNodeContents(code);s.addRange(r)};
button.hidden=false;
button.onclick=async()=>{try{await navigator.clipboard.writeText(code.textContent)}catch{select();if(!document.execCommand("copy"))return}
button.textContent="Copied";setTimeout(()=>{button.textContent="Copy"},2000)};
const end=performance.now()+left.dataset.seconds*1000;
const timer=setInterval(()=>{if(!left.isConnected)return clearInterval(timer);
const s=Math.max(0,Math.ceil((end-performance.now())/1000));left.textContent=Math.floor(s/60)+":"+String(s%60).padStart(2,"0")},1000)})()`;
