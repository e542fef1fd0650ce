// What the page says, by locale.

export const wordings = {
  ja: {
    other: "English", otherLocale: "en", send: "送信", signIn: "サインイン", signOut: "サインアウト",
    guest: "ゲスト", signedIn: "サインイン中", refused: "サインインが無効です", signInAgain: "再サインイン",
    tokenRefused: "サーバーがこのトークンを受け付けません。期限切れか、別のサーバーのものかもしれません。",
    asGuest: "ゲストとして続ける", tryAgain: "もう一度送信", unanswered: "（回答は記録されていません）", placeholder: "漫画について聞いてみてください",
    token: "ベアラートークン", cancel: "キャンセル", save: "使う",
    trace: "この回答について", none: "回答を選ぶと、どこから来たか、何にどれだけかかったかを表示します。",
    tally: "回答の出どころ", source: "出どころ", age: "作成から", event: "イベント", seen: "往復",
    rung: "段階", first: "最初の文字まで",
    unreachable: "サーバーに接続できません。", seconds: "秒前", minutes: "分前", ms: "ms",
    suggestions: ["今週の人気は？", "新刊を教えて", "少年漫画おすすめ", "ワンピース 最新刊", "おすすめは？", "アキラの作者は誰？"],
  },
  en: {
    other: "日本語", otherLocale: "ja", send: "Ask", signIn: "Sign in", signOut: "Sign out",
    guest: "Guest", signedIn: "Signed in", refused: "Sign-in refused", signInAgain: "Sign in again",
    tokenRefused: "The server does not accept this token: it may have expired, or be another server's.",
    asGuest: "Go on as a guest", tryAgain: "Try again", unanswered: "(no answer is on record)", placeholder: "Ask about manga",
    token: "Bearer token", cancel: "Cancel", save: "Use",
    trace: "About this answer", none: "Choose an answer to see where it came from and what took how long.",
    tally: "Where answers came from", source: "source", age: "made", event: "event", seen: "round trip",
    rung: "step", first: "first words",
    unreachable: "The server can't be reached.", seconds: "s ago", minutes: "min ago", ms: "ms",
    suggestions: ["What's popular this week?", "New releases", "Show me shonen", "One Piece latest", "Recommend something", "Who drew Akira?"],
  },
};
