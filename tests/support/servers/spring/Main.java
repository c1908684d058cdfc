package op;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import java.time.Duration;
import java.util.UUID;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.server.authorization.InMemoryOAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2Authorization;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationConsent;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationConsentService;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.LoginUrlAuthenticationEntryPoint;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Spring Authorization Server as it comes, with clients for tests and what an administrator does.
 *
 * As it comes, its device flow and its refresh tokens are for clients that prove themselves, and its
 * device flow refuses the scope "openid".
 */
@SpringBootApplication
@RestController
public class Main implements OAuth2AuthorizationService {
  private static final String REDIRECT = "http://127.0.0.1/callback";

  private volatile InMemoryOAuth2AuthorizationService sessions = new InMemoryOAuth2AuthorizationService();
  private volatile JWKSet keys = newKeys();
  private volatile boolean isPushed;

  public static void main(String[] arguments) {
    SpringApplication.run(Main.class, arguments);
  }

  /** Ends all sign-ins, and what was changed but the keys. */
  @PostMapping("/control/reset")
  public void reset() {
    sessions = new InMemoryOAuth2AuthorizationService();
    isPushed = false;
  }

  /** Signs with a new key from now on; the old one is gone. */
  @PostMapping("/control/rotate-keys")
  public void rotateKeys() {
    keys = newKeys();
  }

  /** States that requests of the browser have to be pushed. */
  @PostMapping("/control/push")
  public void push() {
    isPushed = true;
  }

  /** The public keys of the client with a key. */
  @GetMapping("/control/client-keys")
  public String clientKeys() {
    return System.getenv("CLIENT_KEYS");
  }

  @Bean
  @Order(1)
  SecurityFilterChain protocol(HttpSecurity http) throws Exception {
    http.oauth2AuthorizationServer(server -> {
      http.securityMatcher(server.getEndpointsMatcher());
      server
        .deviceAuthorizationEndpoint(device -> {})
        .deviceVerificationEndpoint(device -> {})
        .pushedAuthorizationRequestEndpoint(push -> {})
        .oidc(oidc -> oidc.providerConfigurationEndpoint(endpoint ->
          endpoint.providerConfigurationCustomizer(document -> document
            .scopes(scopes -> scopes.addAll(java.util.List.of("profile", "email", "offline_access")))
            .claim("require_pushed_authorization_requests", isPushed))));
    });
    http.authorizeHttpRequests(requests -> requests.anyRequest().authenticated());
    http.exceptionHandling(handling ->
      handling.defaultAuthenticationEntryPointFor(
        new LoginUrlAuthenticationEntryPoint("/login"),
        request -> String.valueOf(request.getHeader("accept")).contains("text/html")));
    return http.build();
  }

  @Bean
  @Order(2)
  SecurityFilterChain pages(HttpSecurity http) throws Exception {
    http.authorizeHttpRequests(requests ->
      requests.requestMatchers("/control/**").permitAll().anyRequest().authenticated());
    http.csrf(csrf -> csrf.ignoringRequestMatchers("/control/**"));
    http.formLogin(form -> {});
    return http.build();
  }

  @Bean
  UserDetailsService people() {
    return name -> User.withUsername(name).password("{noop}a-password").roles("USER").build();
  }

  @Bean
  JWKSource<SecurityContext> keySource() {
    return (selector, context) -> selector.select(keys);
  }

  @Bean
  OAuth2TokenCustomizer<JwtEncodingContext> claims() {
    return context -> context.getClaims().claim("email", context.getPrincipal().getName());
  }

  /** Asks for consent each time. */
  @Bean
  OAuth2AuthorizationConsentService consents() {
    return new OAuth2AuthorizationConsentService() {
      @Override
      public void save(OAuth2AuthorizationConsent consent) {}

      @Override
      public void remove(OAuth2AuthorizationConsent consent) {}

      @Override
      public OAuth2AuthorizationConsent findById(String client, String person) {
        return null;
      }
    };
  }

  @Bean
  RegisteredClientRepository clients(
      @org.springframework.beans.factory.annotation.Value("${server.port}") String port) {
    ClientSettings.Builder byKey = ClientSettings.builder()
      .jwkSetUrl("http://127.0.0.1:" + port + "/control/client-keys")
      .tokenEndpointAuthenticationSigningAlgorithm(SignatureAlgorithm.RS256);
    return new InMemoryRegisteredClientRepository(
      client("public").clientAuthenticationMethod(ClientAuthenticationMethod.NONE)
        .clientSettings(ClientSettings.builder().requireProofKey(true).build()).build(),
      withSecret("secret").build(),
      withSecret("es256").tokenSettings(tokens().idTokenSignatureAlgorithm(SignatureAlgorithm.ES256)
        .build()).build(),
      withSecret("browser")
        .authorizationGrantTypes(types -> types.remove(AuthorizationGrantType.DEVICE_CODE)).build(),
      client("key").clientAuthenticationMethod(ClientAuthenticationMethod.PRIVATE_KEY_JWT)
        .clientSettings(byKey.build()).build());
  }

  /** Two clients may not have the same secret. */
  private static RegisteredClient.Builder withSecret(String id) {
    return client(id).clientSecret("{noop}the-secret-of-" + id)
      .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_BASIC)
      .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_POST);
  }

  private static RegisteredClient.Builder client(String id) {
    return RegisteredClient.withId(id).clientId(id).redirectUri(REDIRECT)
      .authorizationGrantType(AuthorizationGrantType.AUTHORIZATION_CODE)
      .authorizationGrantType(AuthorizationGrantType.DEVICE_CODE)
      .authorizationGrantType(AuthorizationGrantType.REFRESH_TOKEN)
      .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
      .scope("openid").scope("profile").scope("email").scope("offline_access")
      .clientSettings(ClientSettings.builder().requireAuthorizationConsent(true).build())
      .tokenSettings(tokens().build());
  }

  private static TokenSettings.Builder tokens() {
    return TokenSettings.builder().reuseRefreshTokens(false)
      .accessTokenTimeToLive(Duration.ofHours(1));
  }

  private static JWKSet newKeys() {
    try {
      return new JWKSet(java.util.List.of(
        new RSAKeyGenerator(2048).keyID(UUID.randomUUID().toString()).generate(),
        new com.nimbusds.jose.jwk.gen.ECKeyGenerator(com.nimbusds.jose.jwk.Curve.P_256)
          .keyID(UUID.randomUUID().toString()).generate()));
    } catch (JOSEException error) {
      throw new IllegalStateException(error);
    }
  }

  @Override
  public void save(OAuth2Authorization authorization) {
    sessions.save(authorization);
  }

  @Override
  public void remove(OAuth2Authorization authorization) {
    sessions.remove(authorization);
  }

  @Override
  public OAuth2Authorization findById(String id) {
    return sessions.findById(id);
  }

  @Override
  public OAuth2Authorization findByToken(String token, OAuth2TokenType type) {
    return sessions.findByToken(token, type);
  }
}
