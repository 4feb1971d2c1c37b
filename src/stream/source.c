#include "stream/stream_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME = 4096, MAX_ID = 64 };

void mnk_source_name_clear(MnkSourceName *name) {
  g_clear_pointer(&name->address, g_free);
}

/* "camera", "camera:2", "/dev/video2" */
static gboolean parse_camera(const char *text, MnkSourceName *out, GError **error) {
  guint64 number = 0;
  const char *digits = g_str_has_prefix(text, "/dev/video") ? text + strlen("/dev/video")
                       : text[strlen("camera")] == ':'      ? text + strlen("camera:")
                                                            : "0";
  if (!g_ascii_string_to_unsigned(digits, 10, 0, 1023, &number, NULL)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "\"%s\" is not a camera; write camera, camera:N or /dev/videoN", text);
    return FALSE;
  }
  out->kind = MNK_SOURCE_CAMERA;
  out->address = g_strdup_printf("/dev/video%u", (guint)number);
  return TRUE;
}

static gboolean parse_url(const char *text, MnkSourceName *out, GError **error) {
  g_autoptr(MnkUrl) url = mnk_url_parse(text, error);
  if (url == NULL)
    return FALSE;
  gboolean http = g_str_equal(url->scheme, "http") || g_str_equal(url->scheme, "https");
  if (!http && !g_str_equal(url->scheme, "rtsp") && !g_str_equal(url->scheme, "rtsps")) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "%s:// is not a source that can be read; rtsp, rtsps, http and https are",
                url->scheme);
    return FALSE;
  }
  out->kind = http ? MNK_SOURCE_HTTP : MNK_SOURCE_RTSP;
  out->network = TRUE;
  out->address = g_strconcat(url->scheme, strstr(text, "://"), NULL);
  return TRUE;
}

static gboolean is_url(const char *text) {
  const char *end = strstr(text, "://");
  if (end == NULL || end == text || end - text > 16)
    return FALSE;
  for (const char *p = text; p < end; p++)
    if (!g_ascii_isalnum(*p) && strchr("+-.", *p) == NULL)
      return FALSE;
  return TRUE;
}

gboolean mnk_source_name_parse(const char *text, MnkSourceName *out, GError **error) {
  *out = (MnkSourceName){.kind = MNK_SOURCE_FILE};
  gsize length = strlen(text);
  if (length == 0 || length > MAX_NAME) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE,
                "the source's name has %" G_GSIZE_FORMAT " bytes; it must have 1 to %d", length,
                MAX_NAME);
    return FALSE;
  }
  if (g_str_equal(text, "camera") || g_str_has_prefix(text, "camera:") ||
      g_str_has_prefix(text, "/dev/video"))
    return parse_camera(text, out, error);
  if (is_url(text))
    return parse_url(text, out, error);
  if (g_str_equal(text, MNK_SOURCE_PUSH)) {
    out->kind = MNK_SOURCE_PUSHED;
    out->address = g_strdup(text);
    return TRUE;
  }
  out->standard_input = g_str_equal(text, "-");
  out->address = g_strdup(out->standard_input ? "standard input" : text);
  if (out->standard_input)
    return TRUE;
  int fd = mnk_source_name_open(out, error);
  if (fd < 0) {
    mnk_source_name_clear(out);
    return FALSE;
  }
  close(fd);
  return TRUE;
}

/* An address that is written as a number is judged before a worker hears of it; names are judged
 * there, when they are resolved. */
gboolean mnk_source_name_check(const MnkSourceName *name, const MnkSettings *settings,
                               gboolean trusted, GError **error) {
  if (!name->network || trusted)
    return TRUE;
  g_autoptr(MnkUrl) url = mnk_url_parse(name->address, error);
  if (url == NULL)
    return FALSE;
  g_autoptr(MnkAddressPolicy) policy =
      mnk_address_policy_new(mnk_settings_string(settings, MNK_OPT_OUTBOUND_ALLOW), error);
  if (policy == NULL)
    return FALSE;
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found = NULL;
  char port[8];
  g_snprintf(port, sizeof port, "%u", url->port);
  if (!url->host_is_address || getaddrinfo(url->host, port, &hints, &found) != 0)
    return TRUE;
  gboolean allowed = mnk_address_policy_allows(policy, found->ai_addr, found->ai_addrlen, error);
  freeaddrinfo(found);
  return allowed;
}

static gboolean check_file(int fd, const char *name, GError **error) {
  struct stat info;
  if (fstat(fd, &info) < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "%s: %s", name, g_strerror(errno));
    return FALSE;
  }
  if (S_ISDIR(info.st_mode)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "%s is a folder, not a video", name);
    return FALSE;
  }
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "%s is not a file", name);
    return FALSE;
  }
  if (S_ISREG(info.st_mode) && info.st_size == 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is empty", name);
    return FALSE;
  }
  return TRUE;
}

int mnk_source_name_open(const MnkSourceName *name, GError **error) {
  if (name->kind != MNK_SOURCE_FILE)
    return -1;
  int fd = name->standard_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                : open(name->address, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "%s cannot be opened: %s", name->address,
                g_strerror(errno));
    return -1;
  }
  if (name->standard_input)
    return fd;
  if (!check_file(fd, name->address, error)) {
    close(fd);
    return -1;
  }
  /* Non-blocking only kept the open of a pipe without a writer from hanging. */
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

gboolean mnk_stream_id_is_valid(const char *id) {
  gsize length = strlen(id);
  if (length == 0 || length > MAX_ID)
    return FALSE;
  for (const char *p = id; *p != '\0'; p++)
    if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_')
      return FALSE;
  return TRUE;
}

char *mnk_source_name_id(const MnkSourceName *name) {
  if (name->standard_input)
    return g_strdup("stdin");
  g_autofree char *base = g_path_get_basename(name->address);
  char *dot = strrchr(base, '.');
  if (dot != NULL && dot != base)
    *dot = '\0';
  g_autoptr(GString) id = g_string_new(NULL);
  for (const char *p = base; *p != '\0' && id->len < MAX_ID; p++)
    g_string_append_c(id, g_ascii_isalnum(*p) || *p == '-' ? *p : '_');
  return id->len > 0 ? g_strdup(id->str) : g_strdup("stream");
}
