type System = typeof Deno.build.os;

/** The program that opens a page in the person's browser, with the arguments before the page. */
const LAUNCHERS: Partial<Record<System, readonly [string, ...string[]]>> = {
  darwin: ["open"],
  windows: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** The program for this system. */
export function browserLauncher(): readonly [command: string, ...before: string[]] {
  return LAUNCHERS[Deno.build.os] ?? ["xdg-open"];
}

/** The variables by which the program finds the person's browser and screen, on Linux also in WSL. */
const VARIABLES: Partial<Record<System, string>> = {
  darwin: "HOME PATH",
  windows: "SystemRoot PATH USERPROFILE APPDATA LOCALAPPDATA TEMP",
};
const XDG_VARIABLES =
  "DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS DESKTOP_SESSION XDG_CURRENT_DESKTOP " +
  "XDG_SESSION_TYPE XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME XDG_DATA_DIRS " +
  "KDE_SESSION_VERSION BROWSER HOME PATH LANG WSL_DISTRO_NAME WSL_INTEROP";

/** The only variables that the program gets. This process's others may be secrets. */
export function browserVariables(): readonly string[] {
  return (VARIABLES[Deno.build.os] ?? XDG_VARIABLES).split(" ");
}
