import "reflect-metadata"; // @peculiar/x509 does not load without it
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A certificate authority as a company has one: nobody else knows it. */
export type LocalCa = Awaited<ReturnType<typeof makeLocalCa>>;

/** Makes a certificate authority that ends in an hour. */
export async function makeLocalCa() {
  const keys = await makeKeys();
  const validity = { notBefore: hoursFromNow(-1), notAfter: hoursFromNow(1) };
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Test authority",
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return {
    /** Its certificate, as PEM. */
    cert: ca.toString("pem"),
    /** A server's certificate and private key, as PEM. */
    async issue(hosts: string[]) {
      const own = await makeKeys();
      const cert = await x509.X509CertificateGenerator.create({
        subject: `CN=${hosts[0]}`,
        issuer: ca.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        ...validity,
        extensions: [
          new x509.SubjectAlternativeNameExtension(hosts.map((value) => {
            return { type: /^[\d.]+$/.test(value) ? "ip" as const : "dns" as const, value };
          })),
        ],
      });
      const key = await crypto.subtle.exportKey("pkcs8", own.privateKey);
      return { cert: cert.toString("pem"), key: x509.PemConverter.encode(key, "PRIVATE KEY") };
    },
  };
}

function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

function hoursFromNow(hours: number): Date {
  return new Date(Date.now() + hours * 3600_000);
}
