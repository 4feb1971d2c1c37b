/* The question service: what holds for all questions. */
#include "ask/ask_priv.h"

#include <string.h>

MnkAsker *mnk_asker_new(const MnkSettings *settings, MnkStore *store) {
  MnkAsker *asker = g_new0(MnkAsker, 1);
  asker->store = store;
  asker->talks = mnk_talks_new();
  mnk_asker_set(asker, settings);
  return asker;
}

void mnk_asker_set(MnkAsker *asker, const MnkSettings *settings) {
  g_autoptr(MnkSettings) kept = mnk_settings_copy(settings);
  g_clear_pointer(&asker->settings, mnk_settings_free);
  asker->settings = g_steal_pointer(&kept);
  mnk_talks_set_limits(asker->talks, (guint)mnk_settings_int(settings, MNK_OPT_CONVERSATIONS_MAX),
                       (guint)mnk_settings_int(settings, MNK_OPT_CONVERSATION_TURNS));
}

void mnk_asker_free(MnkAsker *asker) {
  if (!asker)
    return;
  while (!g_queue_is_empty(&asker->asks))
    mnk_ask_free(g_queue_peek_head(&asker->asks));
  mnk_talks_free(asker->talks);
  mnk_settings_free(asker->settings);
  g_free(asker);
}

guint mnk_asker_waiting(const MnkAsker *asker) {
  return asker->asks.length;
}

void mnk_asker_counters(const MnkAsker *asker, MnkAskerCounters *out) {
  *out = asker->counters;
}

void mnk_asker_forget(MnkAsker *asker, const char *stream) {
  for (GList *link = asker->asks.head; link; link = link->next)
    mnk_ask_forget(link->data, stream);
}

gboolean mnk_asker_may_ask(const MnkAsker *asker, const char *question, GError **error) {
  gsize most = (gsize)mnk_settings_int(asker->settings, MNK_OPT_QUESTION_MAX);
  if (strlen(question) > most)
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "the question has more than the %" G_GSIZE_FORMAT " bytes that question_max allows",
                most);
  else if (!g_utf8_validate(question, -1, NULL))
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the question is not text in UTF-8");
  else if (mnk_ask_is_blank(question))
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the question is empty");
  else
    return TRUE;
  return FALSE;
}
