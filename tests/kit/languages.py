"""What legible text looks like, in languages and kinds that differ."""

from __future__ import annotations

import string

TEXTS = {
    "english": (
        "The supplier shall deliver the goods to the place named in the order, and the buyer "
        "shall examine them without delay. Where a part of the goods is missing or damaged, the "
        "buyer may refuse it or ask for a lower price, provided that the supplier was told "
        "within ten days of the delivery."
    ),
    "german": (
        "Der Verkäufer hat die Ware an dem in der Bestellung genannten Ort zu übergeben, und der "
        "Käufer hat sie unverzüglich zu untersuchen. Fehlt ein Teil oder ist er beschädigt, so "
        "darf der Käufer ihn zurückweisen oder den Preis mindern, wenn er es binnen zehn Tagen "
        "angezeigt hat."
    ),
    "french": (
        "Le vendeur est tenu de livrer les marchandises au lieu indiqué dans la commande, et "
        "l'acheteur doit les examiner sans tarder. Lorsqu'une partie est endommagée, l'acheteur "
        "peut la refuser ou demander une réduction du prix, à condition d'en avoir averti le "
        "vendeur dans les dix jours."
    ),
    "polish": (
        "Sprzedawca powinien dostarczyć towar w miejsce wskazane w zamówieniu, a kupujący "
        "powinien zbadać go bez zwłoki. Jeżeli część towaru jest uszkodzona, kupujący może "
        "odmówić jej przyjęcia albo żądać obniżenia ceny, o ile zawiadomił sprzedawcę w ciągu "
        "dziesięciu dni od dostawy."
    ),
    "finnish": (
        "Myyjän on toimitettava tavara tilauksessa mainittuun paikkaan, ja ostajan on "
        "tarkastettava se viipymättä. Jos osa tavarasta puuttuu tai on vaurioitunut, ostaja voi "
        "kieltäytyä siitä tai vaatia hinnan alentamista, jos hän on ilmoittanut asiasta kymmenen "
        "päivän kuluessa."
    ),
    "vietnamese": (
        "Bên bán phải giao hàng đến địa điểm ghi trong đơn đặt hàng và bên mua phải kiểm tra "
        "hàng ngay khi nhận. Nếu một phần hàng hóa bị thiếu hoặc hư hỏng, bên mua có thể từ chối "
        "nhận phần đó hoặc yêu cầu giảm giá, với điều kiện đã thông báo cho bên bán trong vòng "
        "mười ngày."
    ),
    "turkish": (
        "Satıcı malları siparişte belirtilen yere teslim etmekle, alıcı da gecikmeksizin muayene "
        "etmekle yükümlüdür. Malların bir kısmı eksik veya hasarlı ise alıcı bunları "
        "reddedebilir veya fiyatın indirilmesini isteyebilir, ancak bunu on gün içinde satıcıya "
        "bildirmiş olmalıdır."
    ),
    "welsh": (
        "Rhaid i'r gwerthwr ddanfon y nwyddau i'r lle a enwir yn yr archeb, a rhaid i'r prynwr "
        "eu harchwilio heb oedi. Os oes rhan o'r nwyddau ar goll neu wedi'i difrodi, gall y "
        "prynwr ei gwrthod neu ofyn am bris is, ar yr amod ei fod wedi hysbysu'r gwerthwr o fewn "
        "deng niwrnod."
    ),
    "russian": (
        "Продавец обязан доставить товар в место, указанное в заказе, а покупатель обязан "
        "осмотреть его без промедления. Если часть товара отсутствует или повреждена, покупатель "
        "вправе отказаться от неё или потребовать снижения цены, если он сообщил об этом в "
        "течение десяти дней."
    ),
    "greek": (
        "Ο πωλητής οφείλει να παραδώσει τα αγαθά στον τόπο που αναφέρεται στην παραγγελία και ο "
        "αγοραστής να τα εξετάσει χωρίς καθυστέρηση. Αν μέρος των αγαθών λείπει, ο αγοραστής "
        "μπορεί να το αρνηθεί."
    ),
    "arabic": (
        "يلتزم البائع بتسليم البضاعة في المكان المذكور في الطلب، وعلى المشتري أن يفحصها دون "
        "تأخير. إذا كان جزء من البضاعة ناقصا أو تالفا جاز للمشتري أن يرفضه أو أن يطلب تخفيض "
        "الثمن."
    ),
    "hebrew": (
        "המוכר חייב למסור את הטובין במקום הנקוב בהזמנה, והקונה חייב לבדוק אותם ללא דיחוי. אם חלק "
        "מן הטובין חסר או פגום, רשאי הקונה לסרב לקבלו או לבקש הפחתה של המחיר."
    ),
    "hindi": (
        "विक्रेता को आदेश में बताए गए स्थान पर माल पहुँचाना होगा और क्रेता को बिना देरी उसकी "
        "जाँच करनी होगी। यदि माल का कोई भाग खराब हो तो क्रेता उसे अस्वीकार कर सकता है या मूल्य "
        "में कमी की माँग कर सकता है।"
    ),
    "thai": (
        "ผู้ขายต้องส่งมอบสินค้า ณ สถานที่ที่ระบุไว้ในใบสั่งซื้อ "
        "และผู้ซื้อต้องตรวจสอบสินค้าโดยไม่ชักช้า หากสินค้าบางส่วนขาดหายหรือเสียหาย "
        "ผู้ซื้ออาจปฏิเสธหรือขอลดราคาได้"
    ),
    "chinese": (
        "卖方应当按照订单中约定的地点交付货物,买方应当及时检验。如果部分货物缺少或者损坏"
        ",买方可以拒绝接受该部分货物, 或者要求降低价格,但是应当在收到货物之日起十日内通知卖方。合"
        "同未约定的事项,由双方协商解决,协商不成的, 任何一方都可以向人民法院提起诉讼。本合同"
        "一式两份,双方各执一份,自签字之日起生效。"
    ),
    "japanese": (
        "売主は注文書に記載された場所に商品を引き渡し、買主は遅滞なくこれを検査しなければ"
        "ならない。商品の一部に不足 または損傷があるときは、買主はその受領を拒み、または代金の減"
        "額を請求することができる。"
    ),
    "korean": (
        "매도인은 주문서에 기재된 장소에 물품을 인도하여야 하고 매수인은 지체 없이 이를 "
        "검사하여야 한다. 물품의 일부가 부족하거나 손상된 경우 매수인은 그 수령을 거절하거나 "
        "대금의 감액을 청구할 수 있다."
    ),
    "capitals": (
        "INVOICE NUMBER DATE DUE CUSTOMER ADDRESS QUANTITY DESCRIPTION UNIT PRICE AMOUNT "
        "SUBTOTAL VAT TOTAL PAYABLE WITHIN THIRTY DAYS OF THE DATE OF THIS INVOICE TO THE "
        "ACCOUNT NAMED BELOW"
    ),
    "code": (
        "def scale_within(width, height, limit): area = width * height; return min(1.0, (limit / "
        'area) ** 0.5) if __name__ == "__main__": print([f"{x:>10.3f}" for x in values if x != '
        "0]); sys.exit(main(argv[1:])) for (int i = 0; i < n; ++i) { a[i] += b[i] * c[j++]; } "
        "while (*p++ = *q++); return x ? y[0] : z->next;"
    ),
    "formulas": (
        "Let f : X → Y be continuous and x ∈ X . Then ∀ ε > 0 ∃ δ > 0 : d ( x , y ) < δ ⇒ d ( f "
        "( x ) , f ( y ) ) < ε , that is lim f ( x n ) = f ( x ) and ∑ a k x k = ∫ g ( t ) d t ≤ "
        "C · ∥ g ∥ 2 , n ≥ 1 , k = 0 , 1"
    ),
    "mixed": (
        "Rechnung / 发票 No. 2024-17 Qty 数量 12 Unit price 单价 3,50 EUR Total 合计 42,00 EUR "
        "ул. Ленина 5 Москва Bank BIC DEUTDEFF IBAN DE02 1203 0000 0000 2020 51 Tel. +49 30 "
        "1234567"
    ),
    "numbers": " ".join(
        f"{n * 37 % 1000},{n * 7919 % 1000:03} {n / 7:.2f}% -{n}.5 (n/a)" for n in range(1, 60)
    ),
    "contents": f"1 Introduction {'. ' * 18}7 2 Method {'. ' * 19}19",
    "dictionary": " ".join(string.ascii_uppercase) + " xylem rhythm psych lynx glyph crypt hymn myth",
    "short": "- 12 -",
    "amounts": "$ 5.00 + 19% = $ 5.95",
}
