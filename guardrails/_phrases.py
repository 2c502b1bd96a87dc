"""How people tell a model to drop its orders, in the languages that attacks are translated into most.

Each list holds alternatives of a pattern that ignores case. They are words of everyday translations, not of one
data set; a language more is a line more in each list.
"""

from __future__ import annotations

IGNORE = (
    r"ignor(?:e|es|ing|iere?n?|ar|ez|er|a|á|i)\b|disregard|forget\b|overlook|override|overrule|do not follow|don'?t follow"
    r"|pay no attention|set aside|cast aside|neglect|bypass|skip over|discard|drop\b|erase"
    r"|vergiss|missachte|oublie[rz]?|ne tiens? pas compte|ne tenez pas compte|fais abstraction|olvida|haz caso omiso"
    r"|descarta|esque[cç]a|desconsidere|dimentica|trascura|не обращай|игнорир\w*|забудь\w*|проигнорир\w*"
    r"|忽略|忽视|无视|無視|忘记|忘れ|무시|잊어|잊으|تجاهل|انسَ|نادیده|अनदेखा|अनदेखी|नज़रअंदाज|नजरअंदाज|ध्यान न|भूल जा|उपेक्षा|উপেক্ষা|অগ্রাহ্য"
    r"|bỏ qua|phớt lờ|quên đi|ไม่สนใจ|ละเว้น|ละเลย|เพิกเฉย|abaikan|lupakan|huwag pansinin|balewalain|yok ?say|görmezden|göz ?ardı|unut"
)
"""To drop, disregard."""

ABOVE = (
    r"above|previous|prior|preceding|earlier|foregoing|before this|so far|\bpast\b|until now|\brest\b|vorherige\w*|obige\w*|bisherige\w*|vorangehend\w*"
    r"|ci-dessus|précédent\w*|au-dessus|reste\b|anterior\w*|de arriba|lo anterior|resto\b|acima|precedent[ei]|sopra"
    r"|выше\w*|предыдущ\w*|остально\w*|以上|上面|上述|之前|先前|前面|上記|上の|以前|これまで|その他|其余|위의|위에|이전|앞선|나머지"
    r"|أعلاه|السابق\w*|ما سبق|باقي|ऊपर|उपरोक्त|पिछल\w*|शेष|उपर्युक्त|উপর\w*|পূর্ব\w*|আগের|বাকি"
    r"|ở trên|phía trên|bên trên|trước đó|phần còn lại|ข้างต้น|ด้านบน|ก่อนหน้า|ส่วนที่เหลือ|di atas|sebelumnya|sisanya|sa itaas|nauna|nakaraan|yukarıdaki\w*|önceki\w*|geri kalan"
)
"""What stands above."""

ORDERS = (
    r"instruct\w*|prompts?\b|guid(?:ance|elines?)|directi(?:ve|on)s?|commands?\b|orders?\b|rules?\b|restrict\w*|polic(?:y|ies)|programming|constraints?"
    r"|messages?\b|context\b|anweisung\w*|vorgaben|regeln|consignes?|règles|instrucci\w*|reglas|instruç\w*|regras|istruzion\w*|regole"
    r"|инструкци\w*|правил\w*|указани\w*|指令|指示|规则|提示|命令|ルール|プロンプト|지시|명령|규칙|تعليمات|القواعد|أوامر|निर्देश\w*|नियम\w*|নির্দেশ\w*|নিয়ম\w*"
    r"|hướng dẫn|chỉ dẫn|quy tắc|คำสั่ง|คำแนะนำ|กฎ|instruksi|perintah|aturan|tagubilin|panuto|talimat\w*|kural\w*"
)
"""What a model was told."""

SECRET = (
    r"pass(?:word|phrase|code)s?\b|pass ?key|api[ _-]?keys?|secret (?:key|code|word|phrase|token|information|data)s?|access (?:code|key|token)s?"
    r"|credentials?\b|login details|\bpin code|private key|encryption key"
)
"""What only the one who set a system up should know."""

SECRET_ABROAD = (
    r"passwort\w*|kennwort\w*|mots? de passe|contraseñas?|clave secreta|senhas?\b|parola d'ordine|парол\w*|密码|密碼|口令|パスワード|비밀 ?번호|암호|패스워드"
    r"|كلمة (?:المرور|السر)|كلمات (?:المرور|السر)|पासवर्ड|পাসওয়ার্ড|পাসওয়ার্ড|mật khẩu|รหัสผ่าน|kata sandi|sandi\b|şifre\w*|parola\w*|hasło|wachtwoord|palavra-passe|palabra clave|sandimu|şifreniz"
)
"""The same outside English, where it needs no word for whose it is: the order of words differs too much."""

SAY = (
    r"tell|give|share|provide|reveal|confirm|disclose|send|say\b|show|spell|print|repeat|remind|leak|expose|divulge|hand over|output|write|recite|state\b|encode|translate"
    r"|what(?:'s|’s| is| was| are| would)\b|need|sag\b|sagen?\b|gib\b|geben|nenn\w*|verrat\w*|teil\w*|bestätig\w*|lautet|dis\b|donne\w*|partag\w*|confirm\w*|révél\w*|quel(?:le)? est"
    r"|di(?:me|ga|me)\b|da(?:me|r)\b|compart\w*|revel\w*|proporcion\w*|cu[aá]l es|diga|diz\w*|forne\w*|qual (?:é|e)\b|dimmi|dammi|condivid\w*|rivel\w*|qual è"
    r"|скажи\w*|сказать|дай\w*|назов\w*|подели\w*|сообщи\w*|раскр\w*|подтверд\w*|как(?:ой|ов)|告诉|告訴|分享|提供|透露|确认|给我|給我|是什么|教え|共有|確認|明か|何です|알려|말해|공유|제공|확인|무엇|뭐|뭔"
    r"|أخبر\w*|شارك\w*|مشارك\w*|أعط\w*|ما هي|ما هو|تأكيد|إخبار\w*|बता\w*|साझा|शेयर|दें|दे सक|पुष्टि|क्या (?:है|होगा)|বল\w*|জানা\w*|শেয়ার|দিন|নিশ্চিত|কি\b|কী\b"
    r"|cho (?:tôi|biết)|chia sẻ|cung cấp|tiết lộ|xác nhận|là gì|บอก|แบ่งปัน|ให้|แชร์|ยืนยัน|คืออะไร|beri(?:tahu|kan)?|bagikan|berbagi|katakan|konfirmasi|apa\b|ibahagi|sabihin|ibigay|bigyan|kumpirma\w*|ano\b"
    r"|dire\b|sai\b|partilh\w*|podes|скажет\w*|поделит\w*|söyle\w*|paylaş\w*|ver(?:in|ir|ebilir)?\b|onayla\w*|doğrula\w*|nedir|ne\b"
)
"""To hand over in words."""

YOURS = (
    r"your|ur\b|the\b|our|this|its|system|admin\w*|root\b|dein\w*|ihr\w*|unser\w*|votre|vos|ton|ta\b|tes\b|notre|su\b|tu\b|sus|nuestr\w*|sua\b|seu\b|nossa|tua\b|vostra|nostra"
    r"|тво\w*|тебя|вас\b|ваш\w*|наш\w*|你|您|我们|系统|あなた|私たち|システム|당신|귀하|우리|시스템|نظام\w*|الخاص\w*|आप\w*|अपना|हमार\w*|सिस्टम|আপনার|আমাদের|তোমার|সিস্টেম|của bạn|của chúng|hệ thống"
    r"|คุณ|ของเรา|ระบบ|anda\b|kita\b|kami\b|sistem\w*|iyong|mo\b|nyo\b|natin|namin|atin|[sş]enin|sizin|bizim|ş?ifreni\w*|parolan\w*"
)
"""Whose it is: the system's, not the speaker's."""
