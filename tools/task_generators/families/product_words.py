"""The words of reviews of things that were bought, and of reviews in Spanish, by aspect as in `review_words`."""

from .review_words import lines

PRODUCTS = {
    "thing": lines("""
        the vacuum cleaner
        the kettle
        the headset
        the backpack
        the keyboard
        the tent
        the desk lamp
        the razor
        the toaster
        the office chair
        the camera bag
        the water bottle
        the bike light
        the raincoat
    """),
    "delivery": lines("""
        the parcel
        the courier
        the delivery
        the shipment
        the order
        the replacement
        the box
        the spare part
    """),
    "support": lines("""
        the hotline
        the seller
        the support team
        the repair service
        the customer service
        the woman on the phone
        the online chat
        the shop
    """),
}
PRODUCTS_GOOD = {
    "thing": lines("""
        works perfectly
        looks even better than in the photos
        is sturdy and light
        feels well made
        has made my life easier
        is worth every penny
        still looks like new after a year
        is a pleasure to use
        does exactly what it should
        has never let me down
        is the best I have owned
        survived a fall without a scratch
        is comfortable and practical
        impressed the whole family
        was a great choice
        deserves five stars
    """),
    "delivery": lines("""
        arrived a day early
        came sooner than promised
        was carefully packed
        arrived in perfect shape
        was on time to the minute
        came with a kind note
        was faster than I had hoped
        reached us without a scratch
    """),
    "support": lines("""
        solved my problem at once
        was patient and kind
        answered within minutes
        sent a spare part for free
        explained everything clearly
        gave me an honest answer
        was a great help
        returned my money without a fuss
    """),
}
PRODUCTS_BAD = {
    "thing": lines("""
        stopped working after a week
        broke on the first day
        smells of cheap plastic
        feels flimsy
        is louder than a motorbike
        is a waste of money
        fell apart in my hands
        looks nothing like the photos
        has been useless from the start
        leaks at every seam
        is the worst I have owned
        scratches at the slightest touch
        went straight into the bin
        is uncomfortable and heavy
        was a bad choice
        does not deserve one star
    """),
    "delivery": lines("""
        came three weeks late
        arrived in a crushed box
        went to the wrong address
        was left out in the rain
        never turned up
        was late without a word
        had to be chased for days
        was a mess from start to end
    """),
    "support": lines("""
        never answered my letters
        was rude on the phone
        blamed me for the fault
        kept us waiting for an hour
        could not help at all
        refused to return my money
        gave a different answer every time
        was slow and unfriendly
    """),
}

SPANISH = {
    "comida": lines("""
        la paella
        la sopa
        la tortilla
        el pescado
        el pollo
        el postre
        el arroz
        la ensalada
        la carne
        el desayuno
    """),
    "personal": lines("""
        el camarero
        la camarera
        el cocinero
        la dueña
        el gerente
        la recepcionista
    """),
    "sitio": lines("""
        la terraza
        el comedor
        la habitación
        el hotel
        el jardín
        el baño
        la piscina
        el bar
    """),
}
# No predicate agrees with the gender of its subject.
SPANISH_GOOD = {
    "comida": lines("""
        es excelente
        nos encantó
        fue una delicia
        tenía un sabor increíble
        nos gustó mucho
        superó nuestras expectativas
        fue lo mejor del viaje
        merece un aplauso
        llegó en su punto
        estaba muy bien
    """),
    "personal": lines("""
        fue muy amable
        nos trató de maravilla
        tenía siempre una sonrisa
        nos ayudó en todo
        fue un encanto
        hizo un trabajo excelente
        nos dio buenos consejos
        respondió con paciencia
    """),
    "sitio": lines("""
        es una maravilla
        tenía una vista preciosa
        olía a limpio
        brillaba de limpieza
        nos pareció ideal
        invita a descansar
        nos encantó a todos
        tiene mucho encanto
    """),
}
SPANISH_BAD = {
    "comida": lines("""
        fue un desastre
        no sabía a nada
        era horrible
        no valía nada
        tenía un sabor terrible
        nos sentó mal
        fue lo peor del viaje
        olía muy mal
        no nos gustó nada
        estaba fatal
    """),
    "personal": lines("""
        fue muy desagradable
        nos trató fatal
        tenía mal humor
        no nos ayudó en nada
        nos hizo esperar una hora
        nos gritó sin motivo
        hizo un trabajo pésimo
        respondió con desprecio
    """),
    "sitio": lines("""
        daba asco
        tenía mucho polvo
        olía a humedad
        hacía un ruido terrible
        nos pareció deprimente
        era un horno en verano
        tenía manchas por todas partes
        no vale lo que cuesta
    """),
}
