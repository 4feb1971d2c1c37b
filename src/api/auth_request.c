/* Credentials as requests carry them. */
#include "api/core_priv.h"

#include <string.h>

static const char *header_key(MnkRequest *request) {
  static const char BEARER[] = "Bearer ";
  const char *authorization = mnk_request_header(request, "Authorization");
  if (authorization != NULL && g_ascii_strncasecmp(authorization, BEARER, strlen(BEARER)) == 0) {
    const char *key = authorization + strlen(BEARER);
    return key + strspn(key, " ");
  }
  return mnk_request_header(request, "X-API-Key");
}

static MnkKey *judge(MnkAuth *auth, MnkRequest *request, const char *token, MnkScope scope,
                     const char *stream, guint *status, GError **error) {
  MnkClock *clock = mnk_clock_system();
  const MnkCredentials credentials = {
      .address = mnk_request_address(request),
      .loopback = mnk_request_is_loopback(request),
      .key = header_key(request),
      .token = token,
      .scope = scope,
      .stream = stream,
  };
  return mnk_auth_judge(auth, &credentials, mnk_clock_mono_us(clock), mnk_clock_wall_us(clock),
                        status, error);
}

/* A token stands in the URL of what a browser fetches, and fetching is all that it is good for. */
MnkKey *mnk_auth_check(MnkAuth *auth, MnkRequest *request, MnkScope scope, const char *stream,
                       guint *status, GError **error) {
  const char *method = mnk_request_method(request);
  gboolean fetches = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  const char *token = fetches ? mnk_request_query(request, "token") : NULL;
  return judge(auth, request, token, scope, stream, status, error);
}

MnkKey *mnk_auth_check_header(MnkAuth *auth, MnkRequest *request, MnkScope scope, guint *status,
                              GError **error) {
  return judge(auth, request, NULL, scope, NULL, status, error);
}

gboolean mnk_auth_origin_ok(const char *allow_origins, MnkRequest *request, const char **allow) {
  *allow = NULL;
  const char *origin = mnk_request_header(request, "Origin");
  return origin == NULL ||
         mnk_origin_is_allowed(allow_origins, origin, mnk_request_header(request, "Host"), allow);
}
