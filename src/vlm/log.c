/* The libraries log in pieces: a line may come in several, the later ones marked as such. */
#include <string.h>

#include <mtmd-helper.h>

#include "vlm/model_priv.h"

/* The last error of a thread that listens; NULL: it does not. */
static GPrivate captured = G_PRIVATE_INIT(g_free);

static void on_log(enum ggml_log_level level, const char *text, void *user) {
  g_autofree char *line = g_strchomp(g_strdup(text));
  if (level == GGML_LOG_LEVEL_CONT || line[0] == '\0')
    return;
  gboolean wanted = g_private_get(&captured) != NULL;
  if (level == GGML_LOG_LEVEL_ERROR && wanted)
    g_private_replace(&captured, g_strdup(line));
  if (level == GGML_LOG_LEVEL_ERROR && !wanted)
    mnk_warning("vlm", NULL, "event=library text=\"%s\"", line);
  else if (level == GGML_LOG_LEVEL_WARN && !wanted)
    mnk_info("vlm", NULL, "event=library text=\"%s\"", line);
  else
    mnk_debug("vlm", NULL, "event=library text=\"%s\"", line);
}

void mnk_vlm_log_install(void) {
  llama_log_set(on_log, NULL);
  mtmd_helper_log_set(on_log, NULL);
}

void mnk_vlm_log_capture(void) {
  g_private_replace(&captured, g_strdup(""));
}

char *mnk_vlm_log_captured(void) {
  const char *line = g_private_get(&captured);
  /* "function: reason" */
  const char *reason = line ? strstr(line, ": ") : NULL;
  char *end = g_strdup(reason ? reason : "");
  g_private_replace(&captured, NULL);
  return end;
}
