import { mustRun } from "../deno_process.ts";

/** Paths of PEM files. */
export interface CertificateFiles {
  /** The certificate authority's certificate, which clients have to trust. */
  ca: string;
  cert: string;
  key: string;
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];

/** Makes a certificate authority, and a certificate of it for `localhost` and an address. */
export async function makeCertificate(
  folder: string,
  address = "127.0.0.1",
): Promise<CertificateFiles> {
  const [ca, caKey] = [`${folder}/ca.pem`, `${folder}/ca_key.pem`];
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  await openssl("-x509", ...KEY, "-keyout", caKey, "-out", ca, "-subj", "/CN=Test CA");
  const names = `subjectAltName=DNS:localhost,IP:${address}`;
  const extensions = ["-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"];
  const issuer = ["-x509", "-CA", ca, "-CAkey", caKey];
  await openssl(...issuer, ...KEY, "-keyout", key, "-out", cert, "-subj", "/CN=l", ...extensions);
  return { ca, cert, key };
}

async function openssl(...args: string[]): Promise<void> {
  await mustRun(["openssl", "req", ...args]);
}
