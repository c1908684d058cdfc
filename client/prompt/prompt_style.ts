/**
 * The look of the prompt in a notebook: the front end's own colours (JupyterLab, VS Code), and
 * elsewhere those of the system's theme, light or dark.
 */
export const STYLE = `<style>
.vm-auth{--t:#1f2328;--d:#59636e;--b:#d1d9e0;--l:#0969da}
@media (prefers-color-scheme:dark){.vm-auth{--t:#e6edf3;--d:#9da7b3;--b:#3d444d;--l:#58a6ff}}
[data-jp-theme-light=true] .vm-auth,.vscode-light .vm-auth{--d:#59636e;--b:#d1d9e0;--l:#0969da}
[data-jp-theme-light=false] .vm-auth,.vscode-dark .vm-auth{--d:#9da7b3;--b:#3d444d;--l:#58a6ff}
.vm-auth{--text:var(--jp-content-font-color1,var(--vscode-editor-foreground,var(--t)));
--dim:var(--jp-content-font-color2,var(--vscode-descriptionForeground,var(--d)));
--line:var(--jp-border-color2,var(--vscode-panel-border,var(--b)));
--link:var(--jp-content-link-color,var(--vscode-textLink-foreground,var(--l)));
box-sizing:border-box;display:flex;max-width:560px;margin:4px 0;color:var(--text);
font:14px/1.5 var(--jp-content-font-family,var(--vscode-font-family,system-ui,sans-serif))}
.vm-auth p{margin:0}
.vm-auth a{color:var(--link);overflow-wrap:anywhere}
.vm-auth-card{flex-wrap:wrap;gap:16px 24px;padding:16px 20px;border:1px solid var(--line);border-radius:8px}
.vm-auth-main{flex:1 1 300px;min-width:0}
.vm-auth .vm-auth-title{font-weight:600;margin-bottom:8px;overflow-wrap:anywhere}
.vm-auth .vm-auth-main ol{margin:0;padding-left:1.3em}
.vm-auth .vm-auth-main li{margin:4px 0}
.vm-auth-row{display:flex;align-items:center;gap:14px;margin-top:2px}
.vm-auth .vm-auth-row code{padding:0;background:none;color:var(--text);font:600 26px/1.3 var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace));letter-spacing:.06em;user-select:all;-webkit-user-select:all}
.vm-auth button{padding:2px 10px;border:1px solid var(--line);border-radius:6px;background:none;color:var(--text);font:inherit;font-size:13px;cursor:pointer}
.vm-auth button[hidden]{display:none}
.vm-auth .vm-auth-note,.vm-auth .vm-auth-wait{color:var(--dim);font-size:13px;overflow-wrap:anywhere}
.vm-auth .vm-auth-note,.vm-auth .vm-auth-wait{margin-top:10px}
.vm-auth-left{font-variant-numeric:tabular-nums}
.vm-auth-qr{flex:none;align-self:center;line-height:0}
.vm-auth-qr svg{width:132px;height:132px;border-radius:6px}
</style>`;
