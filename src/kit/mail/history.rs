//! What a message says that the messages before it did not.

/// What the line above a quotation ends with, in the mail programs of several languages, lowercase: "On … wrote:". A name
/// may stand between the word and the colon.
const WROTE: [&str; 26] = [
    "wrote",
    "writes",
    "schrieb",
    "a écrit",
    "escribió",
    "ha scritto",
    "scrive",
    "escreveu",
    "schreef",
    "skrev",
    "kirjoitti",
    "napisał",
    "napisał(a)",
    "pisze",
    "napsal",
    "napsal(a)",
    "napísal",
    "írta",
    "a scris",
    "yazdı",
    "пишет",
    "написал",
    "написал(а)",
    "έγραψε",
    "写道",
    "작성",
];

/// What such a line begins with, where the language has it so. Lines that begin with a date or a name count by their end.
const ON: [&str; 15] = [
    "on ",
    "am ",
    "le ",
    "el ",
    "il ",
    "em ",
    "op ",
    "den ",
    "w dniu ",
    "dne ",
    "dňa ",
    "pe ",
    "în ",
    "на ",
    "στις ",
];

/// The fields of the block that Outlook puts above the message it answers: who, when, and whom or what.
const FROM: [&str; 14] = [
    "from",
    "von",
    "de",
    "da",
    "van",
    "från",
    "fra",
    "od",
    "lähettäjä",
    "от",
    "kimden",
    "feladó",
    "发件人",
    "差出人",
];
const SENT: [&str; 24] = [
    "sent",
    "date",
    "gesendet",
    "datum",
    "envoyé",
    "envoyé le",
    "enviado",
    "enviado el",
    "enviada em",
    "fecha",
    "data",
    "inviato",
    "verzonden",
    "skickat",
    "sendt",
    "dato",
    "wysłano",
    "odesláno",
    "lähetetty",
    "отправлено",
    "gönderme tarihi",
    "elküldve",
    "发送时间",
    "送信日時",
];
const TO: [&str; 16] = [
    "to",
    "cc",
    "an",
    "à",
    "para",
    "a",
    "aan",
    "till",
    "til",
    "do",
    "vastaanottaja",
    "кому",
    "kime",
    "címzett",
    "收件人",
    "宛先",
];
const SUBJECT: [&str; 17] = [
    "subject",
    "betreff",
    "objet",
    "asunto",
    "oggetto",
    "assunto",
    "onderwerp",
    "ämne",
    "emne",
    "temat",
    "předmět",
    "aihe",
    "тема",
    "konu",
    "tárgy",
    "主题",
    "件名",
];

/// What stands between dashes above the message that is answered.
const ORIGINAL: [&str; 14] = [
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "message d'origine",
    "message original",
    "mensaje original",
    "messaggio originale",
    "mensagem original",
    "oorspronkelijk bericht",
    "ursprungligt meddelande",
    "oprindelig meddelelse",
    "wiadomość oryginalna",
    "původní zpráva",
    "alkuperäinen viesti",
];

/// What stands between dashes above a message that is passed on, in mail programs of several languages, lowercase.
const FORWARDED: [&str; 31] = [
    "forwarded message",
    "forwarded mail",
    "weitergeleitete nachricht",
    "message transféré",
    "message réexpédié",
    "mensaje reenviado",
    "messaggio inoltrato",
    "mensagem encaminhada",
    "mensagem reencaminhada",
    "doorgestuurd bericht",
    "vidarebefordrat meddelande",
    "videresendt meddelelse",
    "videresendt besked",
    "videresendt melding",
    "välitetty viesti",
    "edelleenlähetetty viesti",
    "przekazana wiadomość",
    "wiadomość przekazana dalej",
    "treść przekazanej wiadomości",
    "přeposlaná zpráva",
    "preposlaná správa",
    "továbbított üzenet",
    "mesaj redirecționat",
    "i\u{307}letilen ileti",
    "yönlendirilmiş ileti",
    "пересылаемое сообщение",
    "перенаправленное сообщение",
    "προωθημένο μήνυμα",
    "转发的消息",
    "転送メッセージ",
    "전달된 메시지",
];

/// The same of programs that write a sentence instead, without its colon.
const BEGIN_FORWARDED: [&str; 13] = [
    "begin forwarded message",
    "anfang der weitergeleiteten nachricht",
    "début du message réexpédié",
    "début du message transféré",
    "inicio del mensaje reenviado",
    "inizio messaggio inoltrato",
    "início da mensagem encaminhada",
    "início da mensagem reencaminhada",
    "begin doorgestuurd bericht",
    "vidarebefordrat brev",
    "start på videresendt besked",
    "początek przekazywanej wiadomości",
    "начало переадресованного сообщения",
];

/// How many lines the sentence above a quotation may be broken into.
const SENTENCE_LINES: usize = 4;

/// The new text of a message without the quoted history below it, and whether some was cut. Answers between quoted lines
/// keep what they answer; a message that is nothing but history is left as it is. What follows a line that says that a
/// message is forwarded is what the sender wants read, and stays. Outlook puts no such line above it: without one, what it
/// forwards looks like what it answers, is left out, and this says so.
pub fn without_history(text: &str) -> (String, bool) {
    let text = text.trim();
    let text_without_div = before_quote_div(text);
    let lines: Vec<&str> = text_without_div.lines().collect();
    let shape = Shape::of(&lines);
    let forward = lines.iter().position(|line| is_forward(line));
    let history =
        (0..forward.unwrap_or(lines.len())).find(|at| begins_history(&lines, *at, &shape));
    let at = match (history, forward) {
        (Some(at), _) => at,
        (None, Some(_)) => return (text.to_owned(), false),
        (None, None) => quoted_tail(&lines),
    };
    let kept = lines[..at].join("\n");
    // A line of underscores belongs to the block below it.
    let kept = kept.trim_end_matches(|c: char| c.is_whitespace() || c == '_');
    if kept.trim().is_empty() || (at == lines.len() && text_without_div.len() == text.len()) {
        return (text.to_owned(), false);
    }
    (kept.to_owned(), true)
}

/// The HTML before the element that Gmail, Yahoo and Outlook put the history into; all of it when that is a forwarded
/// message.
fn before_quote_div(text: &str) -> &str {
    [
        "class=\"gmail_quote",
        "class=\"gmail_extra",
        "class=\"yahoo_quoted",
        "id=\"appendonsend\"",
        "id=\"divRplyFwdMsg\"",
    ]
    .iter()
    .filter_map(|mark| text.find(mark))
    .min()
    .filter(|at| !begins_forward(&text[*at..]))
    .and_then(|at| text[..at].rfind('<'))
    .map_or(text, |at| text[..at].trim_end())
}

/// Whether the first words of an element say that a message is forwarded. The text begins inside its tag.
fn begins_forward(text: &str) -> bool {
    text.split('>')
        .skip(1)
        .map(|part| part.split('<').next().unwrap_or_default().trim())
        .find(|words| !words.is_empty())
        .is_some_and(is_forward)
}

fn begins_history(lines: &[&str], at: usize, shape: &Shape) -> bool {
    let line = lines[at].trim();
    if line.is_empty() || line.starts_with('>') {
        return false;
    }
    is_original(line)
        || is_block(lines, at)
        || sentence(lines, at).is_some_and(|next| shape.is_history_from(next))
}

/// `-----Original Message-----`
fn is_original(line: &str) -> bool {
    between_dashes(line, "--", '-').is_some_and(|words| ORIGINAL.contains(&&*words))
}

/// `---------- Forwarded message ---------`, `Begin forwarded message:`
fn is_forward(line: &str) -> bool {
    let line = line.trim().trim_matches(['*', '_']);
    let begins = || {
        let words = line.strip_suffix([':', '：'])?.trim_end().to_lowercase();
        Some(BEGIN_FORWARDED.contains(&&*words))
    };
    between_dashes(line, "--", '-')
        .or_else(|| between_dashes(line, "==", '='))
        .is_some_and(|words| FORWARDED.contains(&&*words))
        || begins().unwrap_or(false)
}

/// What stands between at least two dashes on each side, lowercase.
fn between_dashes(line: &str, two: &str, dash: char) -> Option<String> {
    let inner = line.strip_prefix(two)?.strip_suffix(two)?;
    let words = inner.trim_matches([dash, ' ', '\u{a0}']).to_lowercase();
    Some(words.replace('’', "'"))
}

/// The word before the colon of a field, without marks.
fn field(line: &str) -> Option<String> {
    let (word, _) = line.trim().split_once([':', '：'])?;
    Some(word.trim_matches(['*', ' ', '_', '\u{a0}']).to_lowercase())
}

/// Outlook's block: who, and in the lines below it when, and whom or what. Without a subject one of them has an address: a
/// booking has a from, a to and a date as well.
fn is_block(lines: &[&str], at: usize) -> bool {
    let starts = field(lines[at]).is_some_and(|word| FROM.contains(&&*word));
    if !starts {
        return false;
    }
    let below: Vec<(&str, String)> = lines[at + 1..]
        .iter()
        .filter(|line| !line.trim().is_empty())
        .take(6)
        .map_while(|line| Some((*line, field(line)?)))
        .collect();
    let has = |words: &[&str]| below.iter().any(|(_, word)| words.contains(&&**word));
    let mut all = below.iter().map(|(line, _)| *line).chain([lines[at]]);
    has(&SENT) && (has(&SUBJECT) || has(&TO) && all.any(has_address))
}

/// Whether a mail address is in the line: an `@` inside a word.
fn has_address(line: &str) -> bool {
    line.split_whitespace().any(|word| {
        word.split_once('@').is_some_and(|(local, domain)| {
            local.ends_with(char::is_alphanumeric) && domain.starts_with(char::is_alphanumeric)
        })
    })
}

/// Where the text goes on after "On … wrote:", which may be broken into lines.
fn sentence(lines: &[&str], at: usize) -> Option<usize> {
    let mut joined = String::new();
    for (more, line) in lines[at..].iter().take(SENTENCE_LINES).enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('>') {
            return None;
        }
        if more > 0 {
            joined.push(' ');
        }
        joined.push_str(line);
        // Neither are long lines part of it.
        if joined.chars().count() > 300 {
            return None;
        }
        if line.ends_with([':', '：']) {
            return is_sentence(&joined).then_some(at + more + 1);
        }
    }
    None
}

fn is_sentence(text: &str) -> bool {
    let text = text.trim_matches(['*', '_']).to_lowercase();
    let body = text.trim_end_matches([':', '：', ' ', '\u{a0}']);
    // A date or an address is in it.
    if !body.contains(|c: char| c.is_ascii_digit()) && !body.contains('@') {
        return false;
    }
    let at_end = WROTE.iter().any(|word| {
        body.strip_suffix(word).is_some_and(|before| {
            before.is_empty() || !before.ends_with(char::is_alphabetic) || !word.is_ascii()
        })
    });
    let begins = ON.iter().any(|word| body.starts_with(word));
    let inside = WROTE.iter().any(|word| body.contains(&format!(" {word} ")));
    at_end || (begins && inside)
}

/// Where lines are quoted and where not.
struct Shape {
    /// For each line, the first quoted one from there on.
    quoted: Vec<Option<usize>>,
    /// The last line that is neither quoted nor empty.
    own: Option<usize>,
}

impl Shape {
    fn of(lines: &[&str]) -> Self {
        let mut quoted = vec![None; lines.len()];
        let mut next = None;
        for (at, line) in lines.iter().enumerate().rev() {
            if line.trim_start().starts_with('>') {
                next = Some(at);
            }
            quoted[at] = next;
        }
        let own = lines.iter().rposition(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('>')
        });
        Self { quoted, own }
    }

    /// Whether everything from this line on is history: quoted throughout, or (as Outlook and HTML mails have it) not
    /// marked at all. Own lines after quoted ones are answers.
    fn is_history_from(&self, at: usize) -> bool {
        let quoted = self.quoted.get(at).copied().flatten();
        quoted.is_none_or(|quoted| self.own.is_none_or(|own| own < quoted))
    }
}

/// Where the quoted lines at the end begin.
fn quoted_tail(lines: &[&str]) -> usize {
    let mut at = lines.len();
    let mut found = lines.len();
    while at > 0 {
        let line = lines[at - 1].trim();
        if line.starts_with('>') {
            found = at - 1;
        } else if !line.is_empty() {
            break;
        }
        at -= 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_history_goes() {
        for (text, kept) in [
            (
                "Yes.\n\nOn Mon, Nov 16, 2026 at 9:00 AM Ada <ada@x.example> wrote:\n> No?\n> Really?",
                "Yes.",
            ),
            (
                "Yes.\n\nOn Mon, Nov 16, 2026 at 9:00 AM Ada Lovelace\n<ada@x.example> wrote:\n\n> No?",
                "Yes.",
            ),
            (
                "Ja.\n\nAm 16.11.2026 um 09:00 schrieb Ada <ada@x.example>:\n> Nein?",
                "Ja.",
            ),
            (
                "Oui.\n\nLe lun. 16 nov. 2026 à 09:00, Ada <ada@x.example> a écrit :\n> Non ?",
                "Oui.",
            ),
            (
                "Sí.\n\nEl lun, 16 nov 2026 a las 9:00, Ada (<ada@x.example>) escribió:\n> ¿No?",
                "Sí.",
            ),
            (
                "Sì.\n\nIl giorno lun 16 nov 2026 alle ore 09:00 Ada <ada@x.example> ha scritto:\n> No?",
                "Sì.",
            ),
            (
                "Sim.\n\nEm seg., 16 de nov. de 2026 às 09:00, Ada <ada@x.example> escreveu:\n> Não?",
                "Sim.",
            ),
            (
                "Ja.\n\nOp ma 16 nov 2026 om 09:00 schreef Ada <ada@x.example>:\n> Nee?",
                "Ja.",
            ),
            (
                "Ja.\n\nDen mån 16 nov. 2026 kl 09:00 skrev Ada <ada@x.example>:\n> Nej?",
                "Ja.",
            ),
            (
                "Tak.\n\npon., 16 lis 2026 o 09:00 Ada <ada@x.example> napisał(a):\n> Nie?",
                "Tak.",
            ),
            (
                "Да.\n\nпн, 16 нояб. 2026 г. в 09:00, Ada <ada@x.example>:\n> Нет?",
                "Да.\n\nпн, 16 нояб. 2026 г. в 09:00, Ada <ada@x.example>:",
            ),
            (
                "好\n\nAda <ada@x.example> 于2026年11月16日周一 09:00写道：\n> 不？",
                "好",
            ),
            (
                "New.\n\n-----Original Message-----\nFrom: Ada\nOld.",
                "New.",
            ),
            (
                "Neu.\n\n-----Ursprüngliche Nachricht-----\nVon: Ada",
                "Neu.",
            ),
            (
                "New.\n________________________________\nFrom: Ada <ada@x.example>\nSent: Monday\nTo: Bob\nSubject: x\n\nOld.",
                "New.",
            ),
            (
                "Neu.\n\n**Von:** Ada\n**Gesendet:** Montag\n**An:** Bob\n**Betreff:** x\n\nAlt.",
                "Neu.",
            ),
            (
                "Nouveau.\n\nDe : Ada\nEnvoyé : lundi\nÀ : Bob\nObjet : x\n\nVieux.",
                "Nouveau.",
            ),
            (
                "New.\n\nFrom: Ada <ada@x.example>\nSent: Monday\nTo: Bob\n\nOld.",
                "New.",
            ),
            (
                "Új.\n\nFeladó: Ada\nElküldve: hétfő\nCímzett: Bob\nTárgy: x\n\nRégi.",
                "Új.",
            ),
            // A forwarded message in what is answered, and Outlook's forward, which looks like an answer.
            (
                "Thanks.\n\nOn Mon, Nov 16, 2026 Ada <ada@x.example> wrote:\n\nFYI\n\n---------- Forwarded message ---------\nFrom: Bob",
                "Thanks.",
            ),
            (
                "FYI\n\nFrom: Ada <ada@x.example>\nSent: Monday\nTo: Bob\nSubject: x\n\nContent",
                "FYI",
            ),
            ("New.\n> old\n>\n> older\n", "New."),
            (
                "<p>New</p><div class=\"gmail_quote\"><div>On … wrote:</div></div>",
                "<p>New</p>",
            ),
        ] {
            assert_eq!(without_history(text), (kept.to_owned(), true), "{text}");
        }
    }

    #[test]
    fn what_is_no_history_stays() {
        for text in [
            "Just text.",
            "On Monday he wrote:\nnothing with a date",
            "From: here to there\nit is far.",
            "> only a quotation",
            "On Mon, Nov 16, 2026 Ada <ada@x.example> wrote:\n> No?\n\nYes, I answer below.\n> Really?\nReally.",
            "FYI\n\n---------- Forwarded message ---------\nFrom: Ada <a@x.example>\nDate: Mon, Nov 16, 2026\nSubject: x\nTo: <b@x.example>\n\nContent",
            "---------- Forwarded message ---------\nFrom: Ada <a@x.example>\nDate: Monday\nSubject: x\nTo: <b@x.example>\n\nContent\n\nOn Sun, Nov 15, 2026 Bob <b@x.example> wrote:\n> quoted",
            "Zur Info\n\n-------- Weitergeleitete Nachricht --------\nBetreff: x\nDatum: Montag\nVon: Ada <a@x.example>\nAn: b@x.example\n\nInhalt",
            "FYI\n\n**Begin forwarded message:**\n\n> **From:** Ada <a@x.example>\n> **Subject:** x\n>\n> Content",
            "Pour info\n\nDébut du message transféré :\n\nDe: Ada <a@x.example>\nObjet: x\nDate: lundi\nÀ: b@x.example\n\nContenu",
            "İlgi\n\n---------- İletilen ileti ---------\nGönderen: Ada\n\nİçerik",
            "FYI\n\n============ Forwarded message ============\nFrom: a@x.example\nTo: b@x.example\nDate: Monday\n\nContent",
            "<p>FYI</p><div class=\"gmail_quote\"><div dir=\"ltr\" class=\"gmail_attr\">---------- Forwarded message ---------<br>From: Ada</div>Content</div>",
            "Your booking:\nFrom: Oslo\nTo: Rome @ gate 3\nDate: 3 May\nSeat: 12A",
            "",
        ] {
            assert_eq!(without_history(text), (text.to_owned(), false), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "(On |wrote:|From: |Sent: |To: |> |--|Forwarded message|Begin forwarded message:|\n|[0-9@]|\\PC){0,60}") {
            let (kept, _) = without_history(&text);
            proptest::prop_assert!(kept.len() <= text.len());
        }
    }
}
